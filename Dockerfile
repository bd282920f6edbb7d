# Dockerfile - two images from scratch: `containerboot` (the sidecar) and `cluster` (operator, CNI plugin, coordinator)
#
#   podman build --target containerboot -t tailpod .                      BASE: any Debian 12 or later
#   DOCKER_BUILDKIT=1 docker build --target containerboot -t tailpod .    (Docker before 23 has an older builder by default)
#
# The base only builds; nothing of it is in the images but CA certificates and the libraries that are linked in. With the
# same base, SOURCE_DATE_EPOCH and `--timestamp $SOURCE_DATE_EPOCH` the same image comes out.
#
# For another machine (--platform linux/arm64) this one's compiler crosses over: nothing is emulated.
ARG BASE=debian:bookworm-slim

FROM --platform=$BUILDPLATFORM ${BASE} AS tools
ARG TARGETARCH
COPY mk/packages.txt tools/image-packages /tools/
RUN [ "${TARGETARCH:-$(dpkg --print-architecture)}" = "$(dpkg --print-architecture)" ] || dpkg --add-architecture "$TARGETARCH"; \
	apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	$(bash /tools/image-packages /tools/packages.txt "${TARGETARCH:-}") && rm -rf /var/lib/apt/lists/*

FROM tools AS build
ARG TARGETARCH
ARG VERSION=0.1.0
ARG SOURCE_DATE_EPOCH=0
COPY . /src
WORKDIR /src

FROM build AS build-containerboot
RUN tools/image-build containerboot "${TARGETARCH:-}" "$VERSION" /image

FROM build AS build-cluster
RUN tools/image-build cluster "${TARGETARCH:-}" "$VERSION" /image

FROM scratch AS cluster
ARG VERSION=0.1.0
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
ARG VERSION=0.1.0
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
