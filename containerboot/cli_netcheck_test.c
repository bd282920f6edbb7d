/* containerboot/cli_netcheck_test.c - the text of `netcheck`: lines and order of the stock CLI */
#include "containerboot/cli.h"

#include <errno.h>
#include <string.h>

#include "tests/harness.h"

#define MAP                                                                                        \
	"{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"a\",\"RegionName\":\"Aye\"},"        \
	"\"20\":{\"RegionID\":20,\"RegionCode\":\"lab\",\"RegionName\":\"The lab\","               \
	"\"Nodes\":[{\"Name\":\"x\"}]},\"7\":{\"RegionID\":7,\"RegionCode\":\"away\","             \
	"\"RegionName\":\"Far away\"}}}"

static const char *text(const char *report, const char *map, bool verbose)
{
	static char words[4096];
	struct buf out;

	buf_init(&out, sizeof words - 1);
	ck_assert_int_eq(cli_netcheck_text(bytes_str(report), bytes_str(map), verbose, &out), 0);
	ck_assert(bytes_to_str(buf_bytes(&out), words, sizeof words));
	buf_fini(&out);
	return words;
}

static const char full[] =
    "{\"Now\":\"2026-01-02T03:04:05.5Z\",\"UDP\":true,\"IPv4\":true,\"IPv6\":true,"
    "\"OSHasIPv6\":true,\"MappingVariesByDestIP\":false,\"UPnP\":true,\"PMP\":false,\"PCP\":true,"
    "\"PreferredDERP\":20,\"RegionLatency\":{\"7\":1234567890,\"20\":20049999},"
    "\"GlobalV4\":\"192.0.2.1:5\",\"GlobalV6\":\"[2001:db8::1]:6\",\"CaptivePortal\":null,"
    "\"PortMapping\":\"192.0.2.9:7\"}";

TEST(netcheck_has_the_lines_of_the_stock_cli_nearest_region_first)
{
	ck_assert_str_eq(text(full, MAP, false), "\nReport:\n"
						 "\t* Time: 2026-01-02T03:04:05.5Z\n"
						 "\t* UDP: true\n"
						 "\t* IPv4: yes, 192.0.2.1:5\n"
						 "\t* IPv6: yes, [2001:db8::1]:6\n"
						 "\t* MappingVariesByDestIP: false\n"
						 "\t* PortMapping: UPnP, PCP\n"
						 "\t* Nearest DERP: The lab\n"
						 "\t* DERP latency:\n"
						 "\t\t- lab: 20ms    (The lab)\n"
						 "\t\t- away: 1.2346s (Far away)\n"
						 "\t\t-   a:         (Aye)\n"
						 "\t* Mapped port: 192.0.2.9:7\n");
	ck_assert_ptr_nonnull(strstr(text(full, MAP, true), "20ms    (derp20, The lab)\n"));
}

TEST(netcheck_that_knows_nothing_says_so_in_the_same_lines)
{
	ck_assert_str_eq(text("{\"UDP\":false,\"IPv4\":false,\"IPv6\":false,\"OSHasIPv6\":false,"
			      "\"MappingVariesByDestIP\":null,\"UPnP\":null,\"PMP\":null,"
			      "\"PCP\":null,\"PreferredDERP\":0,\"RegionLatency\":{},"
			      "\"GlobalV4\":\"\",\"GlobalV6\":\"\"}",
			      "null", false),
			 "\nReport:\n"
			 "\t* Time: (nothing measured yet)\n"
			 "\t* UDP: false\n"
			 "\t* IPv4: (no addr found)\n"
			 "\t* IPv6: no, unavailable in OS\n"
			 "\t* MappingVariesByDestIP: \n"
			 "\t* PortMapping: \n"
			 "\t* Nearest DERP: unknown (no response to latency probes)\n");
	ck_assert_ptr_nonnull(strstr(text("{\"OSHasIPv6\":true}", "{}", false),
				     "\t* IPv6: no, but OS has support\n"));
	ck_assert_ptr_nonnull(
	    strstr(text("{\"IPv6\":true,\"MappingVariesByDestIP\":true}", "{}", false),
		   "\t* IPv6: (no addr found)\n\t* MappingVariesByDestIP: true\n"));
}

TEST(netcheck_writes_latencies_as_a_go_duration_of_tenths_of_a_millisecond)
{
	static const struct {
		const char *ns, *words;
	} rows[] = {
		{ "0", "lab: 0s      (The lab)\n" },
		{ "49999", "lab: 0s      (The lab)\n" },
		{ "50000", "lab: 100\u00b5s   (The lab)\n" },
		{ "949999", "lab: 900\u00b5s   (The lab)\n" },
		{ "950000", "lab: 1ms     (The lab)\n" },
		{ "1234000", "lab: 1.2ms   (The lab)\n" },
		{ "999949999", "lab: 999.9ms (The lab)\n" },
		{ "999950000", "lab: 1s      (The lab)\n" },
		{ "1500000000", "lab: 1.5s    (The lab)\n" },
	};
	char report[128];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(report, sizeof report, "{\"RegionLatency\":{\"20\":%s}}", rows[i].ns);
		ck_assert_msg(strstr(text(report, MAP, false), rows[i].words) != NULL, "%s: %s",
			      rows[i].ns, text(report, MAP, false));
	}
}

TEST(netcheck_cleans_and_cuts_names_of_regions_and_refuses_what_is_no_report)
{
	struct buf out;
	char map[512], name[128];

	snprintf(name, sizeof name, "%0100d", 7);
	snprintf(map, sizeof map,
		 "{\"Regions\":{\"3\":{\"RegionCode\":\"\\u001b[31m\",\"RegionName\":\"%s\"}}}",
		 name);
	ck_assert_ptr_nonnull(strstr(
	    text("{\"RegionLatency\":{\"3\":1000000}}", map, false),
	    "- ?[31m: 1ms     (000000000000000000000000000000000000000000000000000000000000000)"
	    "\n"));
	buf_init(&out, 4096);
	ck_assert_int_eq(cli_netcheck_text(bytes_str("[]"), bytes_str("{}"), false, &out),
			 -EBADMSG);
	ck_assert_int_eq(cli_netcheck_text(bytes_str("{}"), bytes_str("7"), false, &out), -EBADMSG);
	buf_fini(&out);
}
