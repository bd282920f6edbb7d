/* model/netmap_priv.h - what the files of the netmap share
 *
 * netmap.c          life of a netmap, look-ups, changes, expiry
 * netmap_frame.c    a frame, member by member, becomes a stage
 * netmap_index.c    hash tables over peers
 * netmap_node.c     one node: JSON to scratch, scratch to record, difference of two records
 * netmap_section.c  everything else of a frame: relays, DNS, users, health
 * netmap_filters.c  the packet filter: named parts as text
 * netmap_apply.c    a staged frame becomes a plan (may fail), the plan is carried out (cannot fail)
 * netmap_emit.c     the state as JSON
 */
#ifndef MODEL_NETMAP_PRIV_H
#define MODEL_NETMAP_PRIV_H

#include "base/json.h"
#include "model/arena.h"
#include "model/array.h"
#include "model/netmap.h"

#define NO_PEER UINT32_MAX

/* --- nodes --- */

struct nm_rec { /* one allocation: this, then arrays, then strings */
	struct netmap_node n;
	struct nm_rec *next_dead;
	uint32_t size;
	uint16_t n_endpoints; /* as sent; n shows none while expired */
	uint16_t home_derp;
	bool sent_expired;
	bool removed; /* waits in the graveyard, still under its number */
};

struct nm_scratch { /* room to decode one node */
	struct netmap_node n;
	struct ipprefix addresses[NETMAP_ADDRS_MAX], allowed[NETMAP_ROUTES_MAX],
	    primary[NETMAP_ROUTES_MAX];
	struct ipport endpoints[NETMAP_ENDPOINTS_MAX];
	struct ip masq[2];
	const char *tags[NETMAP_TAGS_MAX];
	char tag_text[NETMAP_TAGS_MAX][NETMAP_NAME_MAX];
	char stable_id[NETMAP_NAME_MAX], name[NETMAP_NAME_MAX], hostname[NETMAP_NAME_MAX],
	    os[NETMAP_NAME_MAX];
	struct buf caps;
	size_t left_out; /* fields and elements of that node that were */
};

/* A string that may be left out: false, and "", when it is too long for out or none of C's. What is
 * no string fails as ever. */
MUST_USE bool nm_text(struct json *j, char *out, size_t cap);
bool nm_node_decode(struct bytes text, struct nm_scratch *s); /* false: drop it */
bool nm_patch_id(struct bytes text, int64_t *id);
bool nm_patch_decode(struct bytes text, const struct nm_rec *base,
		     struct nm_scratch *s); /* base with the patch over it */
void nm_scratch_load(struct nm_scratch *s, const struct nm_rec *base);
struct nm_rec *nm_rec_pack(const struct netmap_node *n); /* NULL: out of memory */
unsigned nm_node_diff(const struct nm_rec *old,
		      const struct netmap_node *n);           /* bits of NETMAP_P_, 0: the same */
int64_t nm_control_ns(const struct netmap *nm, wall_t now);   /* now by control's clock */
bool nm_rec_expire(struct nm_rec *r, int64_t control_now_ns); /* whether it changed */

/* --- other sections --- */

struct nm_score {
	uint16_t id;
	double score;
};
struct nm_derp {
	struct arena mem;
	struct netmap_region *v;
	size_t n;
	struct nm_score *scores;
	size_t n_scores;
};
struct nm_dns {
	struct arena mem;
	struct netmap_dns d;
	size_t left_out;
};
struct nm_health {
	struct arena mem;
	const char *id[NETMAP_HEALTH_MAX]; /* of display messages; NULL: from Health */
	const char *text[NETMAP_HEALTH_MAX];
	size_t n, left_out;
};
struct nm_filter {
	char *name; /* one allocation with text */
	struct bytes text;
};
struct nm_filters {
	struct nm_filter *v[NETMAP_FILTERS_MAX];
	size_t n, bytes;
	bool any;
};
struct nm_user {
	struct netmap_user u;
	size_t size;
};

/* 0, -EBADMSG, -ENOMEM */
int nm_derp_decode(struct bytes text, const struct nm_derp *old, struct nm_derp *out);
int nm_dns_decode(struct bytes text, struct nm_dns *out);
int nm_health_decode(struct bytes text, bool display, const struct nm_health *old,
		     struct nm_health *out);
/* NULL: *fault says why; left_out: how many of its fields, added */
struct nm_user *nm_user_decode(struct bytes text, int *fault, uint64_t *left_out);
int nm_filters_set(struct nm_filters *f, struct bytes name,
		   struct bytes text); /* 0, -ENOMEM, -EBADMSG, -E2BIG: too many, too much */
int nm_filters_parts(struct nm_filters *f, struct bytes text);
int nm_filters_copy(struct nm_filters *out, const struct nm_filters *f);
bool nm_filters_eq(const struct nm_filters *a, const struct nm_filters *b);
void nm_filters_free(struct nm_filters *f);

/* --- indexes --- */

enum nm_ix { IX_ID, IX_KEY, IX_NAME, IX_IP, IX_N };
struct nm_index {
	uint32_t *slot; /* reference + 1; 0: empty */
	uint32_t cap, n;
};
bool nm_index_reserve(struct netmap *nm, enum nm_ix ix,
		      size_t n); /* n references in all fit then */
void nm_index_add(struct netmap *nm, const struct nm_rec *r);
void nm_index_del(struct netmap *nm, const struct nm_rec *r);
uint32_t nm_index_id(const struct netmap *nm, int64_t id); /* peer or NO_PEER */
uint32_t nm_index_key(const struct netmap *nm, const struct key_pub *k);
uint32_t nm_index_name(const struct netmap *nm, struct bytes fqdn); /* without its last dot */
uint32_t nm_index_ip(const struct netmap *nm, const struct ip *a);
uint64_t nm_hash_id(int64_t id);

/* --- a frame before it is applied --- */

struct nm_op {
	int64_t id;
	struct nm_rec *rec; /* owned; NULL: as the peer that is there */
};
struct nm_ops {
	struct nm_op *v;
	size_t n, cap;
};
struct nm_flag {
	int64_t id;
	bool online, value; /* online: OnlineChange, else PeerSeenChange */
};
struct nm_stage {
	struct json_split *split;
	struct nm_scratch scratch;
	struct nm_ops peers, changed;
	int64_t *removed;
	size_t n_removed, removed_cap;
	struct nm_flag *flags;
	size_t n_flags, flags_cap;
	struct buf patches; /* length as u32, text, ... */
	size_t n_patches;
	struct nm_user **users;
	size_t n_users, users_cap;
	struct nm_rec *self;
	struct nm_derp derp;
	struct nm_dns dns;
	struct nm_health health;
	struct nm_filters filters; /* what they will be */
	struct buf texts;          /* PingRequest */
	char *url;                 /* PopBrowserURL */
	char domain[NETMAP_NAME_MAX];
	size_t memory; /* of records and users staged */
	wall_t control_time;
	int exit_code;
	bool ended, keepalive, has_peers, has_derp, has_dns, has_health, has_filters, has_domain,
	    has_exit;
};

/* --- the netmap --- */

struct netmap {
	struct nm_rec *self;
	struct nm_rec **peers;
	uint32_t limit, peers_cap; /* numbers below limit were given out */
	uint32_t *free_no;         /* capacity peers_cap */
	uint32_t n_free;
	size_t n_peers;
	struct nm_index ix[IX_N];
	struct nm_rec *dead;
	struct nm_user **users; /* sorted by id */
	size_t n_users, users_cap;
	struct nm_derp derp;
	struct nm_dns dns;
	struct nm_health health;
	struct nm_filters filters;
	char domain[NETMAP_NAME_MAX], suffix[NETMAP_NAME_MAX];
	char *last_url;
	span_t skew;
	struct nm_stage *stage;
	struct netmap_change *changes;
	size_t n_changes, changes_cap, next_change;
	struct buf texts; /* what texts of changes point into */
	struct netmap_stat stat;
	bool fresh, keepalive;
};

int nm_apply(struct netmap *nm, struct nm_stage *st, wall_t now, struct err *e);
bool nm_changes_reserve(struct netmap *nm, size_t more);
void nm_change_add(struct netmap *nm, enum netmap_change_type type, uint32_t peer, unsigned what);
void nm_reap(struct netmap *nm);
int nm_user_cmp(const void *a, const void *b);

#endif
