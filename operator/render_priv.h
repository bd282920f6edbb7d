/* operator/render_priv.h - what the files of rendering share */
#ifndef OPERATOR_RENDER_PRIV_H
#define OPERATOR_RENDER_PRIV_H

#include "base/json.h"
#include "operator/render.h"

/* render.c */
void render_labels(struct jsonw *w, const struct render *r);
/* The label by which pods are found; several groups have the same parent. */
const char *render_app(const struct render *r);
void render_selector(struct jsonw *w, const struct render *r);
/* a value of the ProxyClass; empty: there is none */
struct bytes render_class_at(const struct render *r, const char *path);
/* members of an object of the ProxyClass, copied but for those that are ours */
void render_class_members(struct jsonw *w, const struct render *r, const char *path);

/* render_set.c */
void render_set(struct jsonw *w, const struct render *r);

/* render_serve.c: the data of the ConfigMap of an Ingress */
void render_serve(struct jsonw *w, const struct render *r);

#endif
