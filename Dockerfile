# The image of Outrigger: proxy, agent, interception and injector are one program.
#
#   docker build -t outrigger .
#   docker buildx build --platform linux/amd64,linux/arm64 -t outrigger .
#
# The last stage begins from nothing: it holds Node, the libraries that Node and the packet filter's tools load, and the
# program. There is no shell and no package manager in it. It runs as any user, without a home, on a read-only root.

ARG BASE=node:26-slim

# ── the program, built once on the machine that builds ──
FROM --platform=$BUILDPLATFORM ${BASE} AS program
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/npm npm ci --cache /npm --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/build.js --force && node scripts/image.js /opt/outrigger

# ── what it runs on, of the architecture of the image ──
FROM ${BASE} AS system
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils iptables nftables ca-certificates
COPY scripts/image-root.sh /
RUN sh /image-root.sh /root-of-image
COPY --from=program /opt/outrigger /root-of-image/opt/outrigger

# A third of a start is compiling: what comes of it is kept, for the two users that the image is meant for.
FROM scratch AS compiled
COPY --from=system /root-of-image /
COPY scripts/image-warm.js /
ENV NODE_COMPILE_CACHE=/tmp/compiled
RUN ["/usr/local/bin/node", "/image-warm.js"]
USER 1337:1337
ENV NODE_COMPILE_CACHE=/tmp/compiled-1337
RUN ["/usr/local/bin/node", "/image-warm.js"]

FROM scratch
COPY --from=system /root-of-image /
COPY --from=compiled --chown=0:0 /tmp/compiled /tmp/compiled-1337 /opt/outrigger/compiled/
ARG VERSION=unknown REVISION=unknown CREATED=unknown
LABEL org.opencontainers.image.title="Outrigger" \
      org.opencontainers.image.description="A service-mesh sidecar proxy you can understand" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin \
    NODE_COMPILE_CACHE=/opt/outrigger/compiled \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# mesh-config/usual-ports.ts: the user whose connections are never redirected. Any other works as well.
USER 1337:1337
WORKDIR /
EXPOSE 15001 15006 15020
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/node", "/opt/outrigger/bin/outrigger.js", "ready"]
ENTRYPOINT ["/usr/local/bin/node", "/opt/outrigger/bin/outrigger.js"]
CMD ["proxy", "-c", "/etc/outrigger/sidecar.yaml"]
