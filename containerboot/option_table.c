/* containerboot/option_table.c - every variable, one row each; the order is that of --help */
#include "containerboot/options.h"

#define AT(member) offsetof(struct options, member)
#define ROW(n, al, k, fl, d, member, h)                                                            \
	{                                                                                          \
		.name = n, .alias = al, .kind = k, .flags = fl, .dflt = d, .off = AT(member),      \
		.help = h                                                                          \
	}
#define NUM(n, fl, d, member, m, h)                                                                \
	{                                                                                          \
		.name = n, .kind = OPTION_NUMBER, .flags = fl, .dflt = d, .off = AT(member),       \
		.max = m, .help = h                                                                \
	}
#define ACCEPTED(n, h)                                                                             \
	{                                                                                          \
		.name = n, .kind = OPTION_ACCEPTED, .help = h                                      \
	}
#define GROUP(title) .group = title

/* clang-format off */
const struct option option_table[] = {
        { GROUP("Identity and login"), .name = "TS_AUTHKEY", .alias = "TS_AUTH_KEY", .kind = OPTION_TEXT, .flags = OPTION_SECRET, .off = AT(auth_key),
          .help = "Auth key to register with; `file:PATH` reads it from a file (white space around it is cut off) and reads it again when the file changes. Not needed once the state holds a registered node." },
        ROW("TS_LOGIN_SERVER", NULL, OPTION_URL, OPTION_OURS, PREFS_CONTROL_URL_DEFAULT, login_server,
            "URL of the control server, for example a Headscale. `--login-server` in TS_EXTRA_ARGS wins over it."),
        ROW("TS_CONTROL_KEY", NULL, OPTION_MKEY, OPTION_OURS, NULL, control_key,
            "Public key of the control server (`mkey:` and 64 hex digits). When set, a server with another key is refused."),
        ROW("TS_HOSTNAME", NULL, OPTION_TEXT, 0, NULL, hostname,
            "Name of the node in the tailnet. Default: the host name of the container."),
        ROW("TS_ADVERTISE_TAGS", "TS_TAGS", OPTION_TAGS, OPTION_OURS, NULL, tags,
            "Comma-separated tags to ask for (`tag:web,tag:prod`). Headscale gives tags to the key instead and refuses requested ones: the node then joins without and warns."),
        ROW("TS_AUTH_ONCE", NULL, OPTION_BOOL, 0, "false", auth_once,
            "true: a stored preference that the environment does not mention stays as it is. false: it goes back to its default at each start. A registered node logs in again only when it must, either way."),
        ROW("TS_EXTRA_ARGS", NULL, OPTION_TEXT, OPTION_SECRET, NULL, extra_args,
            "Flags of `tailscale up`, split as a shell does (quotes count). Applied at every start."),
        ROW("TS_BOOT_TIMEOUT", NULL, OPTION_SPAN, 0, "60s", boot_timeout,
            "How long the start may take until the node runs, as a Go duration; afterwards the program ends with code 1. 0: no limit."),
        ROW("TS_LOGOUT_ON_EXIT", NULL, OPTION_BOOL, OPTION_OURS, "false", logout_on_exit,
            "true: log out at SIGTERM, so that the control server forgets an ephemeral node at once. Do not combine with a state that should survive."),
        ROW("TS_CLIENT_ID", NULL, OPTION_TEXT, OPTION_NOT_YET, NULL, client_id, "OAuth or workload-identity client."),
        ROW("TS_CLIENT_SECRET", NULL, OPTION_TEXT, OPTION_SECRET | OPTION_NOT_YET, NULL, client_secret, "OAuth client secret."),
        ROW("TS_ID_TOKEN", NULL, OPTION_TEXT, OPTION_SECRET | OPTION_NOT_YET, NULL, id_token, "Identity token to exchange for a key."),
        ROW("TS_AUDIENCE", NULL, OPTION_TEXT, OPTION_NOT_YET, NULL, audience, "Audience of a cloud identity token."),

        { GROUP("Routing and proxies"), .name = "TS_USERSPACE", .kind = OPTION_BOOL, .dflt = "true", .off = AT(userspace),
          .help = "true: everything in user space, without a device and without privileges. false (kernel mode) is not in this version." },
        ROW("TS_SOCKS5_SERVER", NULL, OPTION_LISTEN, 0, NULL, socks5,
            "Address of a SOCKS5 proxy into the tailnet (`:1055`, `localhost:1055`)."),
        ROW("TS_OUTBOUND_HTTP_PROXY_LISTEN", NULL, OPTION_LISTEN, 0, NULL, http_proxy,
            "Address of an HTTP proxy into the tailnet (CONNECT and absolute URLs). May be the same address as TS_SOCKS5_SERVER."),
        ROW("TS_PROXY_TAILNET_ONLY", NULL, OPTION_BOOL, OPTION_OURS, "false", proxy_tailnet_only,
            "true: the proxies refuse destinations outside the tailnet. false: they dial them by the ordinary network, as the stock client does."),
        ROW("TS_DEST_IP", NULL, OPTION_IP, 0, NULL, dest_ip,
            "Where inbound connections to the node go instead of loopback; the port stays the same."),
        NUM("TS_DEST_PROXY_PROTOCOL", OPTION_OURS, "0", dest_proxy_protocol, 2,
            "1 or 2: inbound TCP connections are handed on with a PROXY protocol header of this version, which tells the peer's address. 0: none."),
        ROW("TS_EXPERIMENTAL_DEST_DNS_NAME", NULL, OPTION_TEXT, 0, NULL, dest_dns_name,
            "As TS_DEST_IP, by a name that is looked up every ten minutes; inbound connections are refused while it has no address."),
        ROW("TS_ACCEPT_DNS", NULL, OPTION_TRI, 0, NULL, accept_dns,
            "Take the tailnet's DNS settings. Default: no. The proxies resolve names of the tailnet either way."),
        ROW("TS_ACCEPT_ROUTES", NULL, OPTION_TRI, OPTION_OURS, NULL, accept_routes,
            "Use subnet routes that peers advertise. Default: no."),
        ROW("TS_SHIELDS_UP", NULL, OPTION_TRI, OPTION_OURS, NULL, shields_up, "Refuse all inbound connections. Default: no."),
        ROW("TS_ROUTES", NULL, OPTION_ROUTES, 0, NULL, routes,
            "Comma-separated subnets to offer to the tailnet: what peers send there is dialled from this host. Control must approve them. Absent: as stored; empty: withdraw all."),
        ROW("TS_ADVERTISE_EXIT_NODE", NULL, OPTION_TRI, OPTION_OURS, NULL, advertise_exit_node,
            "Offer the node as exit node: what peers send to public addresses is dialled from this host. Control must approve it. Default: no."),
        ROW("TS_EXIT_NODE", NULL, OPTION_TEXT, OPTION_OURS, NULL, exit_node,
            "Exit node (address, name or id of a peer) by which the proxies reach everything that is not in the tailnet. While it is away, such connections fail."),
        ROW("TS_SSH", NULL, OPTION_BOOL, OPTION_OURS | OPTION_NOT_YET, "false", ssh, "Tailscale SSH server."),
        ROW("TS_SERVE_CONFIG", NULL, OPTION_TEXT, OPTION_NOT_YET, NULL, serve_config, "File with a serve configuration."),
        ROW("TS_TAILNET_TARGET_IP", NULL, OPTION_TEXT, 0, NULL, target_ip,
            "Tailnet address to which the ports of TS_TAILNET_TARGET_PORTS of this pod are forwarded."),
        ROW("TS_TAILNET_TARGET_FQDN", NULL, OPTION_TEXT, 0, NULL, target_fqdn, "The same by MagicDNS name, looked up for each connection."),
        ROW("TS_TAILNET_TARGET_PORTS", NULL, OPTION_TEXT, OPTION_OURS, NULL, target_ports,
            "Comma-separated ports to forward to the target: `80,443/tcp,53/udp`, or `8080:80` for another port there. Needed with a target: in user space there is no rule that catches all traffic."),
        ROW("TS_EXPERIMENTAL_ENABLE_FORWARDING_OPTIMIZATIONS", NULL, OPTION_BOOL, OPTION_KERNEL_ONLY, "false", forwarding_optimizations,
            "UDP offloads of the default interface for forwarding."),
        ROW("EXPERIMENTAL_ALLOW_PROXYING_CLUSTER_TRAFFIC_VIA_INGRESS", NULL, OPTION_BOOL, OPTION_KERNEL_ONLY, "false", cluster_traffic_via_ingress,
            "Pod address forwarded to the serve proxy."),

        { GROUP("Node agent of the CNI plugin"), .name = "TS_CNI_AGENT_SOCKET", .kind = OPTION_TEXT, .flags = OPTION_OURS, .off = AT(cni_socket),
          .help = "Path of the unix socket at which the CNI plugin asks (`/run/tailpod/cni.sock`). Setting it turns the program into the node agent: packets of pods go through a device of the host. Needs NET_ADMIN, /dev/net/tun and the host's network; excludes the proxies." },
        ROW("TS_CNI_STATE_DIR", NULL, OPTION_TEXT, OPTION_OURS, "/run/tailpod/cni", cni_state_dir,
            "Directory of the plugin's files, one an attachment (the plugin's `stateDir`)."),
        ROW("TS_CNI_DEVICE", NULL, OPTION_TEXT, OPTION_OURS, "tailpod0", cni_device,
            "Name of the device. It stays when the agent ends."),
        ROW("TS_CNI_NAMESPACES", NULL, OPTION_TEXT, OPTION_OURS, NULL, cni_namespaces,
            "Namespaces whose pods may have the tailnet, comma-separated, a trailing `*` matches the rest. Default: all that the plugin's settings admit."),
        ROW("TS_CNI_REMOVE_ON_EXIT", NULL, OPTION_BOOL, OPTION_OURS, "false", cni_remove_on_exit,
            "On SIGTERM take device, rules, masquerade, the plugin's files and the state file away: for the removal of a cluster's plugin; with TS_LOGOUT_ON_EXIT the node goes too."),

        { GROUP("State and plumbing"), .name = "TS_STATE_DIR", .kind = OPTION_TEXT, .off = AT(state_dir),
          .help = "Directory of the state file `tailscaled.state`, in the format of the stock client, readable both ways. Absent: state in memory, the node is ephemeral." },
        ROW("TS_SOCKET", NULL, OPTION_TEXT, 0, "/tmp/tailscaled.sock", socket,
            "Unix socket of the local API, which `tailscale` and `tailpod` talk to."),
        NUM("PORT", 0, "0", port, 65535, "UDP port of WireGuard; `--port` in TS_TAILSCALED_EXTRA_ARGS wins. 0: any."),
        ROW("TS_PORT_MAPPING", NULL, OPTION_BOOL, OPTION_OURS, "false", port_mapping,
            "true: ask the default gateway for a port from outside, by NAT-PMP, PCP or UPnP, and offer it to peers: a node behind a home router is then reached directly by peers that its NAT would keep out. For hosts and containers in the host's network: the gateway of a container's own network is a bridge that has none of this. The port is given back at SIGTERM."),
        ROW("TS_MEMORY_LIMIT", NULL, OPTION_SIZE, OPTION_OURS, NULL, memory_limit,
            "Budget of all connection buffers together, in bytes or with K, M, G (`64M`). Default: 64M."),
        ROW("TS_TCP_CONGESTION", NULL, OPTION_CC, OPTION_OURS, "cubic", tcp_congestion,
            "Congestion control of the TCP connections that the node ends itself: `cubic`, `reno`, or `bbr`, which keeps its rate on paths that lose packets for other reasons than a full queue (radio, policers)."),
        NUM("TS_LOG_VERBOSITY", 0, "0", verbosity, 4, "0: facts a user wants; 1: more; 2 and above: everything. `--verbose` in TS_TAILSCALED_EXTRA_ARGS wins."),
        ROW("TS_TAILSCALED_EXTRA_ARGS", NULL, OPTION_TEXT, 0, NULL, daemon_args,
            "Flags of tailscaled (`--port`, `--verbose`, `--socks5-server`, ...), split as a shell does."),
        ROW("TS_DEBUG_USE_DERP_HTTP", NULL, OPTION_BOOL, 0, "false", derp_http, "Talk to relays over plain HTTP, for a Headscale with an embedded relay without TLS."),
        ROW("TS_DEBUG_ALWAYS_USE_DERP", NULL, OPTION_BOOL, 0, "false", derp_only, "Never use direct paths."),
        ROW("TS_DEBUG_SANDBOX", NULL, OPTION_TEXT, OPTION_OURS, NULL, sandbox,
            "Comma-separated: `no-landlock`, `no-seccomp`, `off` (both) lift limits that the program puts on itself; `strict` ends it at a system call that it should not need. Default: all limits, such a call fails."),
        ROW("TS_USE_CACHED_NETMAP", NULL, OPTION_BOOL, 0, "true", use_cached_netmap,
            "Keep the last known peers in the state, so that they can be reached after a restart while the control server is away."),
        ROW("TS_KUBE_SECRET", NULL, OPTION_TEXT, OPTION_CLUSTER_ONLY, NULL, kube_secret,
            "Kubernetes Secret to keep the state in, in the fields of the stock client, readable both ways; it comes before TS_STATE_DIR. An `authkey` in it logs in when no variable does. Default in a cluster: `tailscale`; empty: none."),
        ROW("TS_DEBUG_ADDR_PORT", NULL, OPTION_LISTEN, OPTION_NOT_YET, NULL, debug_addr, "Listener of a debug server."),
        ROW("TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR", NULL, OPTION_TEXT, OPTION_NOT_YET, NULL, config_dir, "Directory of configuration files."),
        ROW("KUBERNETES_SERVICE_HOST", NULL, OPTION_TEXT, 0, NULL, kubernetes_host, "Set by Kubernetes; says that this is a cluster, and where its API server is."),
        NUM("KUBERNETES_SERVICE_PORT", 0, "443", kubernetes_port, 65535, "Set by Kubernetes; port of the API server."),

        { GROUP("Health, metrics, pod"), .name = "TS_LOCAL_ADDR_PORT", .kind = OPTION_LISTEN, .dflt = "[::]:9002", .off = AT(local_addr),
          .help = "Listener of /healthz, /livez, /readyz and /metrics; opened when one of the two switches below is on." },
        ROW("TS_ENABLE_HEALTH_CHECK", NULL, OPTION_BOOL, 0, "false", enable_health, "Serve /healthz, /livez and /readyz."),
        ROW("TS_ENABLE_METRICS", NULL, OPTION_BOOL, 0, "false", enable_metrics, "Serve /metrics in Prometheus text form."),
        ROW("TS_HEALTHCHECK_ADDR_PORT", NULL, OPTION_LISTEN, 0, NULL, healthcheck_addr,
            "Deprecated own listener of /healthz; not together with TS_ENABLE_HEALTH_CHECK."),
        ROW("POD_IP", NULL, OPTION_TEXT, 0, NULL, pod_ip, "Address of the pod, from the downward API; shown in headers of /healthz."),
        ROW("POD_IPS", NULL, OPTION_TEXT, 0, NULL, pod_ips, "Addresses of the pod, comma-separated, at most two."),
        ROW("POD_UID", NULL, OPTION_TEXT, 0, NULL, pod_uid, "From the downward API."),
        ROW("POD_NAME", NULL, OPTION_TEXT, 0, NULL, pod_name, "From the downward API."),
        ROW("TS_EGRESS_PROXIES_CONFIG_PATH", NULL, OPTION_TEXT, OPTION_CLUSTER_ONLY | OPTION_NOT_YET, NULL, egress_config, "Directory with egress services."),
        ROW("TS_INGRESS_PROXIES_CONFIG_PATH", NULL, OPTION_TEXT, OPTION_CLUSTER_ONLY | OPTION_NOT_YET, NULL, ingress_config, "File with ingress mappings."),
        ROW("TS_INTERNAL_APP", NULL, OPTION_TEXT, 0, NULL, internal_app, "Label set by the operator, reported to the control server."),

        { GROUP("Accepted without effect"), .name = "TS_NO_LOGS_NO_SUPPORT", .kind = OPTION_ACCEPTED, .help = "Nothing is ever uploaded." },
        ACCEPTED("TS_LOG_TARGET", "Nothing is ever uploaded."),
        ACCEPTED("TS_LOGS_DIR", "Logs go to standard error."),
        ACCEPTED("TS_DEBUG_FIREWALL_MODE", "No firewall rules in user space."),
        ACCEPTED("TS_DEBUG_MTU", "The MTU inside the tunnel is 1280."),
        ACCEPTED("TS_DISABLE_PORTMAPPER", "There is no port mapping unless TS_PORT_MAPPING asks for it."),
        ACCEPTED("TS_DISABLE_UPNP", "There is no port mapping unless TS_PORT_MAPPING asks for it."),
        ACCEPTED("TS_TUN_DISABLE_UDP_GRO", "There is no device."),
        ACCEPTED("TS_TUN_DISABLE_TCP_GRO", "There is no device."),
        ACCEPTED("TS_PERMIT_CERT_UID", "No certificates are handed out."),
        ACCEPTED("TS_EXPERIMENTAL_CERT_SHARE", "No certificates are handed out."),
        ACCEPTED("TS_ACME_ACCOUNT_SECRET_NAME", "No certificates are handed out."),
        ACCEPTED("TS_ACME_ACCOUNT_FIELD", "No certificates are handed out."),
        ACCEPTED("TS_EXPERIMENTAL_SERVICE_AUTO_ADVERTISEMENT", "There are no services to advertise."),
        ACCEPTED("TS_KUBERNETES_READ_API_SERVER_ADDRESS_FROM_ENV", "The API server's address always comes from the environment."),
};
/* clang-format on */
const size_t option_table_n = ARRAY_LEN(option_table);
