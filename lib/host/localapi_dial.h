/* host/localapi_dial.h - `dial` of the local API, for `tailscale nc`: the client's connection
 * becomes one into the tailnet (Upgrade: ts-dial)
 */
#ifndef HOST_LOCALAPI_DIAL_H
#define HOST_LOCALAPI_DIAL_H

#include "host/host.h"
#include "host/httpd.h"
#include "host/pipe.h"

/* Answers c, now or later. Dial-Host, Dial-Port and Dial-Network of the request say where to; a
 * destination outside the tailnet is left to the client ("Dial-Self"). pipes: the owner of tunnels
 * to our own host. */
void localapi_dial(struct host *h, struct host_pipes *pipes, struct httpd_call *c,
		   const struct httpd_request *rq);

#endif
