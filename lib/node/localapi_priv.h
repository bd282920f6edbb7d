/* node/localapi_priv.h - JSON pieces that the files of the local API share */
#ifndef NODE_LOCALAPI_PRIV_H
#define NODE_LOCALAPI_PRIV_H

#include "base/json_member.h"
#include "node/localapi.h"

void localapi_put_strings(struct jsonw *w, const char *key, const char *const *v, size_t n);
void localapi_put_user(struct jsonw *w, const struct netmap_user *u);
/* a node as tailcfg has it: whois, netmap notifications */
void localapi_put_node(struct jsonw *w, const struct netmap *nm, const struct netmap_node *n);

#endif
