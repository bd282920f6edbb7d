/* containerboot/dest.c - the destination of inbound connections by name
 * (TS_EXPERIMENTAL_DEST_DNS_NAME)
 *
 * Looked up at start and every ten minutes; after a failure in 2, 4, 8 s ... ten minutes, the last
 * known address stays meanwhile. IPv4 before IPv6.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "containerboot/program.h"

enum { REFRESH_S = 600, FIRST_RETRY_S = 2 };

struct dest_name {
	struct host *host;
	struct resolver *resolver;
	char *name;
	struct resolve *lookup;
	struct loop_timer timer;
	struct ip found, present; /* of the look-up under way; in use, zero: none */
	unsigned retry_s;
};

static void arm(struct dest_name *d, unsigned seconds)
{
	loop_timer_set(&d->timer, mono_add(loop_now(host_loop(d->host)), SPAN_S(seconds)));
}

static void take(struct dest_name *d)
{
	char text[IP_TEXT];

	d->retry_s = FIRST_RETRY_S;
	arm(d, REFRESH_S);
	if (ip_eq(&d->found, &d->present))
		return;
	d->present = d->found;
	host_set_dest(d->host, &d->present);
	log_info("containerboot: inbound connections go to %s, that is %s", d->name,
		 ip_text(&d->present, text));
}

static void on_answer(void *ctx, int family, const struct ip *v, size_t n, const struct err *why,
		      bool is_last)
{
	struct dest_name *d = ctx;

	if (n > 0 && (family == AF_INET || ip_is_zero(&d->found)))
		d->found = v[0];
	if (!is_last)
		return;
	d->lookup = NULL;
	if (!ip_is_zero(&d->found)) {
		take(d);
		return;
	}
	if (d->retry_s == FIRST_RETRY_S)
		log_warn("containerboot: TS_EXPERIMENTAL_DEST_DNS_NAME %s: %s; %s", d->name,
			 why ? why->text : "no address",
			 ip_is_zero(&d->present) ? "inbound connections are refused"
						 : "the last address is used on");
	arm(d, d->retry_s);
	d->retry_s = MIN_OF(2 * d->retry_s, REFRESH_S);
}

static void look_up(void *ctx)
{
	struct dest_name *d = ctx;
	struct err e;

	d->found = (struct ip){ 0 };
	d->lookup = resolve_start(d->resolver, d->name, RESOLVE_BOTH, on_answer, d, &e);
	if (!d->lookup) {
		log_warn("containerboot: TS_EXPERIMENTAL_DEST_DNS_NAME: %s", e.text);
		arm(d, REFRESH_S);
	}
}

struct dest_name *dest_name_new(struct host *host, struct resolver *resolver, const char *name,
				struct err *e)
{
	struct dest_name *d = calloc(1, sizeof *d);

	if (!d || !(d->name = strdup(name))) {
		free(d);
		err_set(e, ENOMEM, "destination");
		return NULL;
	}
	d->host = host;
	d->resolver = resolver;
	d->retry_s = FIRST_RETRY_S;
	loop_timer_init(host_loop(host), &d->timer, look_up, d);
	host_set_dest(host, NULL);
	look_up(d);
	return d;
}

void dest_name_free(struct dest_name *d)
{
	if (!d)
		return;
	resolve_cancel(d->lookup);
	loop_timer_fini(&d->timer);
	free(d->name);
	free(d);
}
