# mlops-action, two images: `slim` is the binary with a shell for GitLab's runner, the last one has git and Postgres' server
# binaries too, for throwaway runs.
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /build
# The dependencies first, in a layer of their own: they take minutes and change seldom.
COPY Cargo.toml Cargo.lock ./
# hadolint ignore=DL4006
RUN mkdir -p src tests/it \
 && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs > src/lib.rs \
 && cargo build --release --locked \
 && rm -rf src
COPY migrations migrations
COPY templates templates
COPY src src
# cargo goes by time stamps, and those of the copied files may be older than the layer above.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM ${RUNTIME_IMAGE} AS slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mlops-action" \
      org.opencontainers.image.description="Migrate, seed, check, version, evaluate, register and deploy from one mlops.yml" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/share/doc /usr/share/locale
COPY --from=build /build/target/release/mlops /usr/local/bin/mlops
COPY scripts/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# Root and no WORKDIR of its own: GitHub runs actions as root in the workspace that it mounts. Anywhere else any user will do.
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["--help"]

FROM slim
# git for the commit outside CI and for what other branches have. Throwaway servers need no cluster, no JIT and so no LLVM;
# Postgres wants a user that the system knows: the
# wrapper gives `docker run --user` a name.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends git libnss-wrapper postgresql-common \
 && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
 && apt-get install -y --no-install-recommends postgresql-15 \
 && rm -rf /var/lib/apt/lists/* /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit* \
           /usr/lib/*/libLLVM* /var/cache/apt/* /usr/share/doc /usr/share/postgresql/15/man /usr/share/locale
