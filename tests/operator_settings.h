/* tests/operator_settings.h - an operator's settings, as tests and fuzz targets of its pure parts
 * take them */
#ifndef TESTS_OPERATOR_SETTINGS_H
#define TESTS_OPERATOR_SETTINGS_H

#include "operator/render.h"

static const struct settings fixture_settings = { .ns = "tailpod",
						  .image = "img",
						  .default_tags = "tag:k8s",
						  .login_server = "https://hs.example.com",
						  .class_name = "tailscale",
						  .default_class = "",
						  .cluster_domain = "cluster.local",
						  .pull_policy = "Always",
						  .priority_class = "",
						  .ca_secret = "" };

#endif
