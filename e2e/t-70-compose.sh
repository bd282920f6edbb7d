#!/bin/bash
# The Compose examples (compose.sh) under podman. The image is reproducible; its compressed size is printed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/containers.sh"
. "$(dirname "$0")/compose.sh"
headscale
host p; host b
engine p
image containerboot tailpod
web_image web
say "images are built"

pod_man save -q --format oci-archive -o "$T/one.tar" localhost/tailpod
pod_man rmi -f localhost/tailpod > /dev/null
image containerboot tailpod
pod_man save -q --format oci-archive -o "$T/two.tar" localhost/tailpod
layers() { tar -xOf "$1" index.json | jq -r '.manifests[0].digest'; }
[ "$(layers "$T/one.tar")" = "$(layers "$T/two.tar")" ] || die "two builds, two images"
size=$(stat -c %s "$T/one.tar")
echo "figure: image containerboot $((size / 1024)) KiB compressed"
[ "$size" -lt $((4 << 20)) ] || die "the image is larger than 4 MiB: $size"

sidecar_example
any_uid
image cluster tailpod-cluster
coordinator_example
echo passed
