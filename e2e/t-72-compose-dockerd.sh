#!/bin/bash
# The Compose examples (compose.sh) under dockerd, which runs their health checks itself; images are built by podman and loaded.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/containers.sh"
. "$(dirname "$0")/compose.sh"
headscale
host p; host b
engine p
image containerboot tailpod
image cluster tailpod-cluster
web_image web
docker_engine p
for i in tailpod tailpod-cluster web; do
	pod_man save -q --format docker-archive -o "$T/$i.tar" "localhost/$i"
	eng load -q -i "$T/$i.tar" > /dev/null
done
say "images are loaded"
sidecar_example
any_uid
coordinator_example
echo passed
