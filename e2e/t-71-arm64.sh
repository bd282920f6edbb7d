#!/bin/bash
# Both images cross-built for arm64 as the Dockerfile does it; the sidecar of that image, run by qemu-user, joins Headscale, talks to a stock
# tailscaled both ways and stops in order; the ciphers' tests pass on that machine; each image's bill of materials names its own bytes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/core.sh"
need() { command -v "$1" > /dev/null || { echo "needs $1: run e2e/setup"; exit 77; }; }
need aarch64-linux-gnu-gcc; need qemu-aarch64-static
for kind in containerboot cluster; do
	nice tools/image-build $kind arm64 0.1 "$T/$kind" > "$T/build.log" 2>&1 || { tail -n 30 "$T/build.log"; die "the cross build of $kind"; }
	sbom=$T/$kind/usr/share/sbom/tailpod-$kind.spdx.json
	jq -e '.spdxVersion == "SPDX-2.3" and ([.packages[].SPDXID] | length == (unique | length))' "$sbom" > /dev/null || die "the bill of materials of $kind"
	jq -e '([.packages[].SPDXID] + ["SPDXRef-DOCUMENT"]) as $ids | [.relationships[] | .spdxElementId, .relatedSpdxElement] | all(. as $x | $ids | index($x))' "$sbom" > /dev/null || die "relations of $kind lead nowhere"
	jq -e '[.packages[].externalRefs[]?.referenceLocator] | any(test("^pkg:deb/debian/libssl-dev@.*arch=arm64$")) and any(test("/ca-certificates@"))' "$sbom" > /dev/null ||
		die "libraries of $kind are not named: $(jq -c '[.packages[].name]' "$sbom")"
	for p in "$T/$kind"/usr/local/bin/*; do
		[ ! -L "$p" ] || continue
		LC_ALL=C readelf -h "$p" | grep -q AArch64 || die "$p is not for arm64"
		jq -e --arg s "$(sha256sum < "$p" | cut -d' ' -f1)" --arg n "${p##*/}" '.packages[] | select(.name == $n) | .checksums[0].checksumValue == $s' "$sbom" > /dev/null || die "the checksum of $p"
	done
	echo "figure: image $kind for arm64 $(($(tar c -C "$T/$kind" . | gzip -9 | wc -c) / 1024)) KiB compressed"
done
CNI_COMMAND=VERSION qemu-aarch64-static "$T/cluster/usr/local/bin/tailpod-cni" < /dev/null | jq -e '.cniVersion == "1.1.0"' > /dev/null || die "tailpod-cni"
for p in operator coordinator; do qemu-aarch64-static -L "$T/cluster" "$T/cluster/usr/local/bin/$p" --help | grep -q "^$p" || die "$p --help"; done
# not `key`, which looks for flags of memory that the emulator's /proc does not show
tests=$(for t in aead blake2s hash noise; do echo "build/aarch64-linux-gnu-gcc/test/lib/crypto/$t"; done)
nice make -s -j2 CC=aarch64-linux-gnu-gcc $tests > "$T/build.log" 2>&1 || { tail -n 30 "$T/build.log"; die "the cross build of tests"; }
for t in $tests; do timeout 400 qemu-aarch64-static -L / "$t" > "$T/test.log" 2>&1 || { cat "$T/test.log"; die "$t on arm64"; }; done
say "built and tested"

headscale
host a; host b
mkdir -p "$T/bin"
printf '#!/bin/sh\nexec qemu-aarch64-static %s "$@"\n' "$T/containerboot/usr/local/bin/containerboot" > "$T/bin/containerboot"; chmod 755 "$T/bin/containerboot"
BIN=$T/bin
containerboot a "$(authkey)"
ready a 60
tailscaled b; ts_up b "$(authkey)"
web a 8000; web b 8000
core a b
big 16
pull a "$ip_b" "16 MiB by an emulated arm64 sidecar"
ends a
echo passed
