#!/bin/bash
# The chart on a real cluster of two nodes, with Headscale and a stock tailscaled outside: Services by annotation and by class, Ingress,
# Connector, egress, tags under a policy, two Services in one process, a drained node, upgrade and rollback, uninstall without remains.
# The steps are those of e2e/kind/run.
. "$(dirname "$0")/lib.sh"
. e2e/kube.sh
. e2e/cluster.sh
need_peer helm headscale tailscaled
cluster
say "two nodes are ready"
load localhost/tailpod:e2e localhost/tailpod:next localhost/tailpod-cluster:e2e localhost/tailpod-cluster:next localhost/busybox:e2e
host out
kubeconfig_of "$T/kubeconfig-out" admin-token "$IP_kube"
in_ns out env KUBECONFIG="$T/kubeconfig-out" HERE="$IP_out" BIN_DIR="$BIN" bash e2e/kind/run
