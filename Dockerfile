# The image is one static binary and an empty folder for its data: no shell, no libraries, nothing to update.
#
#   docker build -t weir .
#   docker run --read-only --cap-drop ALL -p 24224:24224 -p 24231:24231 -v weir:/var/lib/weir weir

ARG RUST_IMAGE=rust:1.95.0-bookworm
# For a shell beside it: --build-arg RUNTIME_IMAGE=debian:bookworm-slim
ARG RUNTIME_IMAGE=scratch

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
# Names are looked up by the C library's own code, so the static binary needs nothing beside /etc/resolv.conf.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_PROFILE_RELEASE_DEBUG=none
# What was compiled stays in the cache of the builder, so that a change compiles what changed. A target that is named
# keeps the flags away from build scripts, which cannot be static.
RUN --mount=type=cache,id=weir-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=weir-target,target=/src/target \
    target="$(rustc --print host-tuple)" \
    && cargo build --release --locked --package weir --target "$target" \
    && install -D "target/$target/release/weir" /out/usr/local/bin/weir \
    && install -d /out/var/lib/weir

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="A log router that replaces Fluentd: forward protocol in, durable buffer, Elasticsearch out" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/usr/local/bin/weir /usr/local/bin/weir
COPY --from=build --chown=65532:65532 /out/var/lib/weir /var/lib/weir
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /var/lib/weir
VOLUME /var/lib/weir
# Forward protocol; probes and metrics.
EXPOSE 24224 24231
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["weir", "health"]
ENTRYPOINT ["weir"]
