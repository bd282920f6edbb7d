/* tests/sim/disk.c - the database of the simulated control: rows, one transaction at a time, and a
 * disk that fails
 *
 * As SQLite's write-ahead log: the rows of a transaction are appended to a journal, then a mark
 * that it is whole; a journal without mark is thrown away when the file is opened again. A process
 * that dies leaves the journal as it is; what it had not appended is gone with it.
 */
#include "tests/sim/sim_priv.h"

static struct sim_row *row_of(struct sim_disk *d, enum tailnet_event_type type, int64_t id)
{
	struct sim_row *room = NULL;

	for (size_t i = 0; i < SIM_ROWS_MAX; i++) {
		struct sim_row *r = &d->rows[i];

		if (r->id == id && r->type == type)
			return r;
		if (r->id == 0 && !room)
			room = r;
	}
	ck_assert_ptr_nonnull(room);
	return room;
}

static void row_drop(struct sim_row *r)
{
	buf_fini(&r->json);
	*r = (struct sim_row){ 0 };
}

static void move(struct sim_row *to, struct sim_row *from)
{
	if (to->id != 0)
		row_drop(to);
	*to = *from;
	*from = (struct sim_row){ 0 };
}

static void forget(struct sim_row *v, size_t *n)
{
	while (*n > 0)
		row_drop(&v[--*n]);
}

struct buf *disk_put(struct world *w, enum tailnet_event_type type, int64_t id)
{
	struct sim_disk *d = &w->disk;
	struct sim_row *r = &d->pending[d->n_pending++];

	WORLD_CHECK(w, d->n_pending < SIM_PENDING_MAX, "a transaction without end");
	*r = (struct sim_row){ .type = type, .id = id };
	buf_init(&r->json, 1 << 20);
	return &r->json;
}

void disk_erase(struct world *w, enum tailnet_event_type type, int64_t id)
{
	disk_put(w, type, id);
	w->disk.pending[w->disk.n_pending - 1].is_erased = true;
}

bool disk_pending(const struct world *w)
{
	return w->disk.n_pending > 0;
}

/* The transaction is what it says from now on. */
static void apply(struct world *w)
{
	struct sim_disk *d = &w->disk;

	for (size_t i = 0; i < d->n_journal; i++) {
		struct sim_row *r = &d->journal[i], *to = row_of(d, r->type, r->id);

		if (r->is_erased)
			servers_deleted(w, r->type, r->id);
		if (!r->is_erased)
			move(to, r);
		else if (to->id != 0)
			row_drop(to);
	}
	forget(d->journal, &d->n_journal);
	d->is_whole = false;
}

bool disk_commit(struct world *w)
{
	static const char *const words[] = {
		[WORLD_DISK_GOOD] = "well",
		[WORLD_DISK_DIES_BEFORE] = "control dies before it has written",
		[WORLD_DISK_TORN] = "control dies within a transaction",
		[WORLD_DISK_DIES_AFTER] = "control dies between storing and answering",
		[WORLD_DISK_FULL] = "the disk is full: control ends",
	};
	struct sim_disk *d = &w->disk;
	enum world_disk fault = d->after > 0 ? WORLD_DISK_GOOD : d->fault;
	size_t n = fault == WORLD_DISK_DIES_BEFORE || fault == WORLD_DISK_FULL ? 0
		   : fault == WORLD_DISK_TORN ? (d->n_pending + 1) / 2
					      : d->n_pending;

	if (d->n_pending == 0)
		return true;
	d->transactions++;
	d->after -= d->after > 0;
	for (size_t i = 0; i < n; i++)
		move(&d->journal[d->n_journal++], &d->pending[i]);
	forget(d->pending, &d->n_pending);
	d->is_whole = n > 0 && fault != WORLD_DISK_TORN;
	if (fault != WORLD_DISK_GOOD) {
		world_note(w, "%s", words[fault]);
		d->strikes++;
		if (fault != WORLD_DISK_FULL)
			d->fault = WORLD_DISK_GOOD;
		return false;
	}
	apply(w);
	return true;
}

void disk_open(struct world *w)
{
	struct sim_disk *d = &w->disk;

	forget(d->pending, &d->n_pending); /* the memory of a process that is no more */
	if (d->is_whole)
		apply(w);
	forget(d->journal, &d->n_journal);
}

void disk_each(struct world *w, enum tailnet_event_type type,
	       int (*fn)(struct tailnet *t, struct bytes json, struct err *e))
{
	struct err e = { 0 };

	for (size_t i = 0; i < SIM_ROWS_MAX; i++)
		if (w->disk.rows[i].id != 0 && w->disk.rows[i].type == type)
			WORLD_CHECK(w, fn(w->control, buf_bytes(&w->disk.rows[i].json), &e) == 0,
				    "control does not take back what it stored: %s", e.text);
}

void disk_fini(struct world *w)
{
	size_t all = SIM_ROWS_MAX;

	forget(w->disk.pending, &w->disk.n_pending);
	forget(w->disk.journal, &w->disk.n_journal);
	forget(w->disk.rows, &all);
}

void world_disk(struct world *w, enum world_disk fault, unsigned after)
{
	world_note(w, fault == WORLD_DISK_GOOD ? "the disk is well" : "the disk will fail (%d, %u)",
		   (int)fault, after);
	w->disk.fault = fault;
	w->disk.after = after;
}

uint64_t world_disk_strikes(const struct world *w)
{
	return w->disk.strikes;
}
