/* coordinator/config.h - settings of `coordinator serve` and `relay`: YAML, every key with a
 * default
 *
 * One table (config.c) names every key, its kind, its default and its help: parsing, `coordinator
 * config` and the documentation come from it. A key that is not there is refused with its line, its
 * column and the nearest one that is.
 */
#ifndef COORDINATOR_CONFIG_H
#define COORDINATOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/mono.h"

enum {
	CONFIG_TEXT = 512,
	CONFIG_LIST_MAX = 32,
	CONFIG_RECORDS_MAX = 1024,
	CONFIG_FILE_MAX = 1 << 20
};

struct config_list {
	size_t n;
	char v[CONFIG_LIST_MAX][128];
};

struct config_split { /* names below domain are asked at these resolvers */
	char domain[128];
	struct config_list resolvers;
};

struct config_record {
	char name[256], type[8], value[256];
};

struct config {
	char state_dir[CONFIG_TEXT], listen[128], server_url[CONFIG_TEXT], socket[CONFIG_TEXT],
	    log_level[16], user[64];
	char system_calls[16], tls_mode[16], tls_cert[CONFIG_TEXT], tls_key[CONFIG_TEXT];
	char base_domain[128];
	struct ipprefix v4, v6;
	span_t key_expiry, ephemeral_timeout;
	bool needs_approval;
	char policy_path[CONFIG_TEXT], api_key_file[CONFIG_TEXT];
	bool relay_only; /* `coordinator relay`: set before config_settle */
	bool derp_enabled, derp_verify, derp_fail_open;
	char derp_verify_url[CONFIG_TEXT], derp_mesh_key_file[CONFIG_TEXT], metrics_listen[128];
	struct config_list derp_mesh_with;
	int64_t derp_region, derp_rate;
	char derp_code[64], derp_name[128], derp_host[256], derp_paths[CONFIG_TEXT],
	    stun_listen[128];
	struct config_list nameservers, search;
	struct config_split split[CONFIG_LIST_MAX];
	size_t n_split;
	struct config_record *records;
	size_t n_records;
	int64_t max_connections, handshakes_per_second, api_per_second;
};

void config_init(struct config *c); /* defaults */
void config_fini(struct config *c);
/* Over what is there. 0 or -EINVAL: e has "line L, column C: ..." */
MUST_USE int config_parse(struct config *c, struct bytes yaml, struct err *e);
MUST_USE int config_load(struct config *c, const char *path,
			 struct err *e); /* a file; e names it */
/* One setting, as an option of the command line has it; lists grow by it. 0 or -EINVAL */
MUST_USE int config_set(struct config *c, const char *key, const char *value, struct err *e);
/* What follows from other settings is filled in (server_url, socket, stun_listen); what cannot be
 * is refused. */
MUST_USE int config_settle(struct config *c, struct err *e);
/* May a request from loopback be somebody's elsewhere, by way of a proxy on this host? It may
 * unless server_url is what is served here: this scheme, this port, no outside name for an address
 * of loopback. c is settled. */
bool config_behind_proxy(const struct config *c);
/* All keys with kind, default and help, as a commented YAML file. */
MUST_USE int config_describe(struct buf *out);
/* "http://host:port": its parts; port by scheme when absent. false: not a URL we serve */
MUST_USE bool config_url(const char *url, bool *tls, char host[static 256], uint16_t *port);

/* Relay regions from a YAML or JSON file as Headscale and derper know them (field names in any
 * case): members of the map's "Regions" object are appended, separated by commas. */
MUST_USE int config_regions(struct bytes yaml, struct buf *out, struct err *e);

#endif
