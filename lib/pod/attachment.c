/* pod/attachment.c - see attachment.h */
#include "pod/attachment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

const char *const attachment_state_names[ATTACHMENT_STATES] = {
	[ATTACHMENT_GUARDED] = "guarded",
	[ATTACHMENT_GRANTED] = "granted",
	[ATTACHMENT_PENDING] = "pending",
};

bool attachment_emit(const struct attachment *a, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "network", a->network);
	jsonw_kstr(&w, "container", a->container);
	jsonw_kstr(&w, "ifname", a->ifname);
	jsonw_kstr(&w, "netns", a->netns);
	jsonw_key(&w, "netnsDev");
	jsonw_u64(&w, a->netns_dev);
	jsonw_key(&w, "netnsIno");
	jsonw_u64(&w, a->netns_ino);
	jsonw_kstr(&w, "pod", a->pod);
	jsonw_kstr(&w, "uid", a->uid);
	jsonw_kstr(&w, "state", attachment_state_names[a->state]);
	jsonw_ki64(&w, "protocol", a->protocol);
	jsonw_key(&w, "rules");
	jsonw_arr(&w);
	for (size_t i = 0; i < a->n_rules; i++)
		rule_emit(&w, &a->rules[i]);
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w) && buf_append(out, "\n", 1);
}

static void read_state(struct json *j, enum attachment_state *out)
{
	char text[16];

	json_str(j, text, sizeof text);
	for (int i = 0; i < ATTACHMENT_STATES; i++)
		if (strcmp(text, attachment_state_names[i]) == 0) {
			*out = (enum attachment_state)i;
			return;
		}
	j->failed = true;
}

static void read_rules(struct json *j, struct attachment *out)
{
	json_arr(j);
	while (json_elem(j)) {
		if (out->n_rules == RULE_MAX) {
			j->failed = true;
			return;
		}
		rule_parse(j, &out->rules[out->n_rules++]);
	}
}

bool attachment_parse(struct bytes text, struct attachment *out)
{
	struct json j = json_of(text);
	struct bytes key;
	uint64_t protocol = 0;

	*out = (struct attachment){ 0 };
	json_obj(&j);
	while (json_key(&j, &key)) {
		if (json_key_is(key, "network"))
			json_str(&j, out->network, sizeof out->network);
		else if (json_key_is(key, "container"))
			json_str(&j, out->container, sizeof out->container);
		else if (json_key_is(key, "ifname"))
			json_str(&j, out->ifname, sizeof out->ifname);
		else if (json_key_is(key, "netns"))
			json_str(&j, out->netns, sizeof out->netns);
		else if (json_key_is(key, "netnsDev"))
			out->netns_dev = json_u64(&j);
		else if (json_key_is(key, "netnsIno"))
			out->netns_ino = json_u64(&j);
		else if (json_key_is(key, "pod"))
			json_str(&j, out->pod, sizeof out->pod);
		else if (json_key_is(key, "uid"))
			json_str(&j, out->uid, sizeof out->uid);
		else if (json_key_is(key, "state"))
			read_state(&j, &out->state);
		else if (json_key_is(key, "protocol"))
			protocol = json_u64(&j);
		else if (json_key_is(key, "rules"))
			read_rules(&j, out);
		else
			json_skip(&j);
	}
	out->protocol = (uint8_t)protocol;
	return json_done(&j) && protocol > 0 && protocol <= UINT8_MAX &&
	       pod_is_id(bytes_str(out->network), POD_NETWORK_MAX) &&
	       pod_is_id(bytes_str(out->container), POD_CONTAINER_MAX) &&
	       pod_is_ifname(bytes_str(out->ifname));
}

/* --- files --- */

static void file_of(const char *dir, const char *network, const char *container, const char *ifname,
		    char out[static ATTACHMENT_FILE_MAX])
{
	/* ':' is in no container id and in no interface name */
	snprintf(out, ATTACHMENT_FILE_MAX, "%s/%s/%s:%s", dir, network, container, ifname);
}

static int make_dirs(const char *path) /* of all but the last component */
{
	char part[ATTACHMENT_FILE_MAX];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int write_all(int fd, struct bytes data)
{
	while (data.len > 0) {
		const ssize_t n = write(fd, data.data, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data = bytes_of(data.data + n, data.len - (size_t)n);
	}
	return 0;
}

/* No fsync: what a power loss takes from the disk it also takes from the kernel. */
static int replace(const char *path, struct bytes data)
{
	char tmp[ATTACHMENT_FILE_MAX + 16];
	int fd, r = make_dirs(path);

	if (r < 0)
		return r;
	/* starts with the file's name, so who lists the directory knows it by its two colons */
	snprintf(tmp, sizeof tmp, "%s:%ld", path, (long)getpid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data);
	close(fd);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(tmp);
	return r;
}

void attachment_path(const char *state_dir, const struct attachment *a,
		     char out[static ATTACHMENT_FILE_MAX])
{
	file_of(state_dir, a->network, a->container, a->ifname, out);
}

int attachment_save(const char *state_dir, const struct attachment *a)
{
	char path[ATTACHMENT_FILE_MAX];
	struct buf text;
	int r = -ENOMEM;

	attachment_path(state_dir, a, path);
	buf_init(&text, ATTACHMENT_TEXT_MAX);
	if (attachment_emit(a, &text))
		r = replace(path, buf_bytes(&text));
	buf_fini(&text);
	return r;
}

static int read_file(const char *path, struct attachment *out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE uint8_t *text = NULL;
	size_t len = 0;
	int r = 0;

	if (fd < 0)
		return -errno;
	text = malloc(ATTACHMENT_TEXT_MAX);
	while (text && len < ATTACHMENT_TEXT_MAX) {
		const ssize_t n = read(fd, text + len, ATTACHMENT_TEXT_MAX - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		len += (size_t)n;
	}
	close(fd);
	if (!text)
		return -ENOMEM;
	if (r == 0 && !attachment_parse(bytes_of(text, len), out))
		r = -EBADMSG;
	return r;
}

int attachment_load(const char *state_dir, const char *network, const char *container,
		    const char *ifname, struct attachment *out)
{
	char path[ATTACHMENT_FILE_MAX];

	file_of(state_dir, network, container, ifname, path);
	return read_file(path, out);
}

int attachment_remove(const char *state_dir, const char *network, const char *container,
		      const char *ifname)
{
	char path[ATTACHMENT_FILE_MAX];

	file_of(state_dir, network, container, ifname, path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* CONTAINER:IFNAME; false: another file, or the rest of a write that was killed */
static bool split_name(const char *name, struct attachment *a)
{
	const char *colon = strchr(name, ':');

	return colon && pod_is_id(bytes_of(name, (size_t)(colon - name)), POD_CONTAINER_MAX) &&
	       pod_is_ifname(bytes_str(colon + 1)) &&
	       bytes_to_str(bytes_of(name, (size_t)(colon - name)), a->container,
			    sizeof a->container) &&
	       bytes_to_str(bytes_str(colon + 1), a->ifname, sizeof a->ifname);
}

static int each_of(const char *state_dir, const char *network, attachment_fn *fn, void *ctx,
		   bool *go_on)
{
	AUTO_FREE struct attachment *a = malloc(sizeof *a),
				    *named = calloc(1, sizeof *named); /* large */
	char path[POD_DIR_MAX + POD_NETWORK_MAX + 2];
	struct dirent *d;
	DIR *dir;

	if (!a || !named)
		return -ENOMEM;
	snprintf(path, sizeof path, "%s/%s", state_dir, network);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (*go_on && (d = readdir(dir))) {
		int r;

		if (!split_name(d->d_name, named))
			continue;
		r = attachment_load(state_dir, network, named->container, named->ifname, a);
		if (r == -ENOENT) /* a DEL was faster */
			continue;
		(void)bytes_to_str(bytes_str(network), named->network, sizeof named->network);
		*go_on = fn(ctx, r == 0 ? a : named, r == 0);
	}
	closedir(dir);
	return 0;
}

int attachment_each(const char *state_dir, const char *network, attachment_fn *fn, void *ctx)
{
	bool go_on = true;
	struct dirent *d;
	DIR *dir;
	int r = 0;

	if (network)
		return each_of(state_dir, network, fn, ctx, &go_on);
	dir = opendir(state_dir);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (go_on && r == 0 && (d = readdir(dir))) {
		if (pod_is_id(bytes_str(d->d_name), POD_NETWORK_MAX))
			r = each_of(state_dir, d->d_name, fn, ctx, &go_on);
		if (r == -ENOTDIR) /* a file that is not ours */
			r = 0;
	}
	closedir(dir);
	return r;
}
