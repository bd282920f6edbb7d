/* cni/env.c - see env.h */
#include "cni/env.h"

#include <stdio.h>
#include <string.h>

const char *const verb_names[VERB_N] = {
	[VERB_NONE] = "",           [VERB_ADD] = "ADD",       [VERB_DEL] = "DEL",
	[VERB_CHECK] = "CHECK",     [VERB_STATUS] = "STATUS", [VERB_GC] = "GC",
	[VERB_VERSION] = "VERSION",
};

enum { NEED_CONTAINER = 1, NEED_NETNS = 2, NEED_IFNAME = 4 };
static const unsigned needs[VERB_N] = {
	[VERB_ADD] = NEED_CONTAINER | NEED_NETNS | NEED_IFNAME,
	[VERB_CHECK] = NEED_CONTAINER | NEED_NETNS | NEED_IFNAME,
	[VERB_DEL] = NEED_CONTAINER | NEED_IFNAME,
};

static const char *get(char *const *environ, const char *name)
{
	const size_t n = strlen(name);

	for (; *environ; environ++)
		if (strncmp(*environ, name, n) == 0 && (*environ)[n] == '=')
			return *environ + n + 1;
	return "";
}

/* "K=V;K=V": only the pod's name matters; what is malformed is other people's */
static void read_args(const char *args, struct env *out)
{
	while (*args) {
		const size_t len = strcspn(args, ";");
		const char *eq = memchr(args, '=', len);

		if (eq) {
			const struct bytes key = bytes_of(args, (size_t)(eq - args));
			const struct bytes value = bytes_of(eq + 1, len - key.len - 1);

			if (bytes_eq_str(key, "K8S_POD_NAMESPACE") &&
			    !bytes_to_str(value, out->pod_namespace, sizeof out->pod_namespace))
				out->pod_namespace[0] = 0; /* a cut name could match another's */
			if (bytes_eq_str(key, "K8S_POD_NAME") &&
			    !bytes_to_str(value, out->pod_name, sizeof out->pod_name))
				out->pod_name[0] = 0;
			if (bytes_eq_str(key, "K8S_POD_UID") &&
			    !bytes_to_str(value, out->pod_uid, sizeof out->pod_uid))
				out->pod_uid[0] = 0;
		}
		args += len;
		args += *args == ';';
	}
}

static int check_missing(unsigned missing, struct fail *f)
{
	char list[64] = "";
	size_t n = 0;
	static const struct {
		unsigned bit;
		const char *name;
	} rows[] = { { NEED_CONTAINER, "CNI_CONTAINERID" },
		     { NEED_NETNS, "CNI_NETNS" },
		     { NEED_IFNAME, "CNI_IFNAME" } };

	if (missing == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (missing & rows[i].bit)
			n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? "," : "",
					      rows[i].name);
	return fail_set(f, FAIL_ENV, "required env variables [%s] missing", list);
}

int env_parse(char *const *environ, struct env *out, struct fail *f)
{
	const char *command = get(environ, "CNI_COMMAND");
	const char *container = get(environ, "CNI_CONTAINERID");
	const char *netns = get(environ, "CNI_NETNS"), *ifname = get(environ, "CNI_IFNAME");
	unsigned need;

	*out = (struct env){ .verb = VERB_NONE };
	for (int v = VERB_ADD; v < VERB_N; v++)
		if (strcmp(command, verb_names[v]) == 0)
			out->verb = (enum verb)v;
	if (out->verb == VERB_NONE && *command)
		return fail_set(f, FAIL_ENV, "unknown CNI_COMMAND: %.32s", command);
	need = needs[out->verb];
	if (check_missing(need & ((*container ? 0U : NEED_CONTAINER) | (*netns ? 0U : NEED_NETNS) |
				  (*ifname ? 0U : NEED_IFNAME)),
			  f) < 0)
		return -1;
	if (need == 0)
		return 0;
	if (!pod_is_id(bytes_str(container), POD_CONTAINER_MAX))
		return fail_set(f, FAIL_ENV,
				"CNI_CONTAINERID is not alphanumeric with _ . - behind, or longer "
				"than %d characters",
				POD_CONTAINER_MAX);
	if (!pod_is_ifname(bytes_str(ifname)))
		return fail_set(f, FAIL_ENV, "CNI_IFNAME is not an interface name");
	if (!bytes_to_str(bytes_str(netns), out->netns, sizeof out->netns))
		return fail_set(f, FAIL_ENV, "CNI_NETNS is longer than %d characters",
				POD_NETNS_MAX);
	(void)bytes_to_str(bytes_str(container), out->container, sizeof out->container);
	(void)bytes_to_str(bytes_str(ifname), out->ifname, sizeof out->ifname);
	out->netns_override = *get(environ, "CNI_NETNS_OVERRIDE") != 0;
	read_args(get(environ, "CNI_ARGS"), out);
	return 0;
}
