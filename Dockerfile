# The service, its simulator and its client in one image. `tests/container/run` builds and tries it.
#
#   docker build -t scrapehook .

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# For example --build-arg FEATURES=traces.
ARG FEATURES=
COPY . .
# The builder's caches keep the dependencies. Our own code is always built, because cargo compares times, and the files of
# another checkout can be older than the last build.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    touch src/lib.rs src/main.rs \
    && cargo build --profile dist --locked --bin scrapehook --features "$FEATURES" \
    && cp target/dist/scrapehook /usr/local/bin/
# The binary, the few libraries that it loads, the certificates that it trusts, and no shell. The demo needs /tmp.
RUN mkdir -p /image/data /image/etc /image/tmp \
    && ldd /usr/local/bin/scrapehook | grep -o '/[^ ]*' | xargs cp -L --parents -t /image \
    && cp -L --parents -t /image /usr/local/bin/scrapehook /etc/ssl/certs/ca-certificates.crt \
    && echo 'scrapehook:x:65532:65532::/data:/nonexistent' > /image/etc/passwd \
    && echo 'scrapehook:x:65532:' > /image/etc/group \
    && chmod 1777 /image/tmp \
    && chown 65532:65532 /image/data

FROM scratch
LABEL org.opencontainers.image.title="scrapehook" \
    org.opencontainers.image.description="Submits video URLs to memories.ai, and follows each until it has its video" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /image /
ENV PATH=/usr/local/bin \
    SCRAPEHOOK_SERVER__LISTEN=0.0.0.0:8080 \
    SCRAPEHOOK_STORE__PATH=/data/scrapehook.db
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["scrapehook", "health"]
ENTRYPOINT ["scrapehook"]
CMD ["serve"]
