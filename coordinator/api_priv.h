/* coordinator/api_priv.h - what the files of the REST API share */
#ifndef COORDINATOR_API_PRIV_H
#define COORDINATOR_API_PRIV_H

#include "base/json.h"
#include "coordinator/api.h"

enum { API_ARGS = 2, API_ARG_MAX = 256 };

struct call {
	struct api *a;
	const struct api_request *r;
	char arg[API_ARGS][API_ARG_MAX]; /* what stands for the stars of the route */
	struct buf *out;
	struct err e;
};

/* Each answers 0, or -errno with c->e. */
typedef int api_fn(struct call *c);

/* api_json.c */
void api_user(struct jsonw *w, const struct tailnet_user *u);
void api_authkey(struct tailnet *t, struct jsonw *w, const struct tailnet_authkey *k,
		 const char *text); /* text NULL: masked */
void api_node(struct tailnet *t, struct jsonw *w, const struct tailnet_node *n);
void api_apikey(struct jsonw *w, const struct apikey *k);
int64_t api_id(struct json *j); /* number or string of digits; fails the reader otherwise */

/* api_users.c, api_nodes.c: the calls */
api_fn api_users_list, api_users_create, api_users_delete, api_users_rename;
api_fn api_keys_list, api_keys_create, api_keys_expire, api_keys_delete;
api_fn api_apikeys_list, api_apikeys_create, api_apikeys_expire, api_apikeys_delete;
api_fn api_nodes_list, api_nodes_get, api_nodes_delete, api_nodes_expire, api_nodes_rename,
    api_nodes_tags, api_nodes_routes, api_nodes_approve, api_login_register, api_login_approve,
    api_login_reject;

/* Done with a node; shared by both versions, which name nodes and answer in their own ways. Tags
 * and routes are read out of the body. 0, or -errno with c->e. */
typedef int api_node_fn(struct call *c, int64_t id);
api_node_fn api_delete_node, api_expire_node, api_approve_node, api_set_tags, api_set_routes;

/* api_v2.c */
unsigned api_v2_handle(struct call *c, struct bytes path); /* behind /api/v2/ */
bool api_v2_route_at(size_t i, struct api_route *out);
bool api_v2_is_open(struct bytes path); /* asks for a token: needs no key yet */

/* api.c */
/* Does the path fit the pattern? A star stands for a segment, which is put into c->arg. */
bool api_matches(struct call *c, const char *pattern, struct bytes path);
int api_done(struct call *c, const struct jsonw *w);
/* {"name":[...]}: the elements are the caller's */
void api_list(struct call *c, struct jsonw *w, const char *name);
int api_list_done(struct call *c, struct jsonw *w);
int api_empty(struct call *c); /* {} */
int api_malformed(struct call *c);
int api_arg_id(struct call *c, int i, int64_t *id);

#endif
