# Dockerfile - two images from scratch: `containerboot` (the sidecar) and `cluster` (operator, CNI plugin, coordinator)
#
#   podman build --target containerboot -t tailpod .          BASE: any Debian 12 or later
#
# The base only builds; nothing of it is in the images but CA certificates and the libraries that are linked in. With the
# same base, SOURCE_DATE_EPOCH and `--timestamp $SOURCE_DATE_EPOCH` the same image comes out.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS tools
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	binutils ca-certificates gcc libc-ares-dev libc6-dev libcap-dev libcurl4-openssl-dev libjansson-dev libnghttp2-dev \
	libsodium-dev libsqlite3-dev libssl-dev libuv1-dev libyaml-dev libzstd-dev make musl-tools openssl pkg-config zlib1g-dev \
	&& rm -rf /var/lib/apt/lists/*

FROM tools AS build
ARG SOURCE_DATE_EPOCH=0
COPY . /src
WORKDIR /src

FROM build AS build-containerboot
RUN make -j"$(nproc)" build/gcc/bin/containerboot && tools/image-root containerboot build/gcc/bin /image

FROM build AS build-cluster
RUN make -j"$(nproc)" programs && tools/image-root cluster build/bin /image

FROM scratch AS cluster
ARG VERSION=0.1
ARG REVISION=
LABEL org.opencontainers.image.title="tailpod-cluster" \
	org.opencontainers.image.description="Operator, CNI plugin and coordinator of Tailpod" \
	org.opencontainers.image.licenses="BSD-3-Clause" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}"
COPY --from=build-cluster /image/ /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/local/bin/operator"]

FROM scratch AS containerboot
ARG VERSION=0.1
ARG REVISION=
LABEL org.opencontainers.image.title="tailpod" \
	org.opencontainers.image.description="Joins a tailnet and carries traffic for the containers beside it" \
	org.opencontainers.image.licenses="BSD-3-Clause" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}"
COPY --from=build-containerboot /image/ /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/local/bin/containerboot"]
