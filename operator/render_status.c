/* operator/render_status.c - what the status of a parent says of its proxy */
#include "base/json.h"
#include "base/text.h"
#include "operator/render.h"

static void condition(struct jsonw *w, const struct parent *p, const struct plan *plan, wall_t wall)
{
	const struct condition *c = &plan->condition;
	char time[WALL_TEXT];

	wall.ns -= wall.ns % NS_PER_S;
	jsonw_key(w, "conditions");
	jsonw_arr(w);
	jsonw_obj(w);
	jsonw_kstr(w, "type", kinds[p->kind].condition);
	jsonw_kstr(w, "status", c->is_true ? "True" : "False");
	jsonw_kstr(w, "reason", c->reason);
	jsonw_kstr(w, "message", c->message);
	jsonw_ki64(w, "observedGeneration", c->observed);
	jsonw_kstr(w, "lastTransitionTime", c->since[0] ? c->since : wall_text(wall, time));
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

/* hostname and tailnetIPs: of the status itself, and of the one element of its devices */
static void device_status(struct jsonw *w, const struct proxy *y)
{
	jsonw_kstr(w, "hostname", y->device_fqdn);
	jsonw_key(w, "tailnetIPs");
	jsonw_arr(w);
	for (size_t i = 0; i < y->n_ips; i++)
		jsonw_str(w, y->device_ip[i]);
	jsonw_arr_end(w);
}

static void connector_status(struct jsonw *w, const struct want *x, const struct proxy *y)
{
	if (!y || !y->device_id[0])
		return;
	device_status(w, y);
	jsonw_kstr(w, "subnetRoutes", x->routes);
	jsonw_kbool(w, "isExitNode", x->exit_node);
	jsonw_kbool(w, "isAppConnector", false);
	jsonw_key(w, "devices");
	jsonw_arr(w);
	jsonw_obj(w);
	device_status(w, y);
	jsonw_obj_end(w);
	jsonw_arr_end(w);
}

bool render_status(struct buf *out, const struct parent *p, const struct plan *plan,
		   const struct proxy *x, const struct want *want, wall_t wall)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj(&w);
	jsonw_kstr(&w, "apiVersion", kinds[p->kind].api_version);
	jsonw_kstr(&w, "kind", kinds[p->kind].kind);
	jsonw_key(&w, "metadata");
	jsonw_obj(&w);
	jsonw_kstr(&w, "name", p->name);
	if (p->ns[0])
		jsonw_kstr(&w, "namespace", p->ns);
	jsonw_obj_end(&w);
	jsonw_key(&w, "status");
	jsonw_obj(&w);
	if (kinds[p->kind].condition && !plan->clear_status)
		condition(&w, p, plan, wall);
	if (p->kind == KIND_CONNECTOR && !plan->clear_status)
		connector_status(&w, want, x);
	if (plan->lb_host[0] && !plan->clear_status) {
		jsonw_key(&w, "loadBalancer");
		jsonw_obj(&w);
		jsonw_key(&w, "ingress");
		jsonw_arr(&w);
		jsonw_obj(&w);
		jsonw_kstr(&w, "hostname", plan->lb_host);
		jsonw_obj_end(&w);
		for (size_t i = 0; i < plan->n_lb_ip; i++) {
			jsonw_obj(&w);
			jsonw_kstr(&w, "ip", plan->lb_ip[i]);
			jsonw_obj_end(&w);
		}
		jsonw_arr_end(&w);
		jsonw_obj_end(&w);
	}
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return jsonw_ok(&w);
}
