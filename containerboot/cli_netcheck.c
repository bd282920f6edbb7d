/* containerboot/cli_netcheck.c - `netcheck`: what the running node has found, not a measurement of
 * this process, which has no sockets of the node */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "containerboot/cli.h"

struct finding {
	const char *key, *words;
};
static const struct finding findings[] = {
	{ "UDP", "UDP" },
	{ "IPv4", "IPv4" },
	{ "IPv6", "IPv6" },
	{ "MappingVariesByDestIP", "mapping varies by destination" },
	{ "UPnP", "UPnP at the gateway" },
	{ "PMP", "NAT-PMP at the gateway" },
	{ "PCP", "PCP at the gateway" },
};

static const char *truth(struct json *j)
{
	if (json_take_null(j))
		return "not known";
	return json_bool(j) ? "yes" : "no";
}

static bool print_finding(struct json *j, struct bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(findings); i++)
		if (json_key_is(key, findings[i].key)) {
			printf("%s: %s\n", findings[i].words, truth(j));
			return true;
		}
	return false;
}

static void print_latency(struct json *j)
{
	struct bytes region;

	json_obj(j);
	while (json_key(j, &region)) {
		double ms = json_f64(j) / 1e6;

		printf("latency of region %.*s: %.1f ms\n", (int)region.len,
		       (const char *)region.data, ms);
	}
}

bool cli_netcheck_print(struct bytes json)
{
	struct json j = json_of(json);
	struct bytes key;
	char text[64];

	json_obj(&j);
	while (json_key(&j, &key)) {
		if (print_finding(&j, key))
			continue;
		if (json_key_is(key, "RegionLatency")) {
			print_latency(&j);
		} else if (json_key_is(key, "PortMapping")) {
			(void)json_str(&j, text, sizeof text);
			printf("port mapped at the gateway: %s\n", *text ? text : "none");
		} else {
			json_skip(&j);
		}
	}
	return json_done(&j);
}
