/* tests/operator_fixture.h - parents and proxies as tests of the plan want them */
#ifndef TESTS_OPERATOR_FIXTURE_H
#define TESTS_OPERATOR_FIXTURE_H

#include <stdlib.h>

#include "operator/keys.h"
#include "operator/options.h"
#include "tests/harness.h"
#include "tests/operator_settings.h"

/* a Service of the given annotations and spec, both JSON members without braces */
static inline struct parent fixture_service(const char *annotations, const char *more_meta,
					    const char *spec)
{
	struct parent p;
	char text[4096];

	(void)snprintf(text, sizeof text,
		       "{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"u-1\","
		       "\"resourceVersion\":\"5\","
		       "\"annotations\":{%s}%s},\"spec\":{%s}}",
		       annotations, more_meta, spec);
	ck_assert(parent_parse(&p, KIND_SERVICE, bytes_str(text)));
	return p;
}

#define CLUSTER_IP "\"clusterIP\":\"10.0.0.1\",\"type\":\"ClusterIP\",\"ports\":[{\"port\":80}]"
#define EXPOSE "\"tailscale.com/expose\":\"true\""
#define EXTERNAL                                                                                   \
	"\"type\":\"ExternalName\",\"externalName\":\"x\",\"ports\":[{\"port\":5432},{\"port\":"   \
	"80}]"

#endif
