#!/usr/bin/env bash
# Stand-ins for base images where no registry can be reached: made from Debian's packages and this machine's Rust, under
# the names that the Dockerfile and the end-to-end projects use. An image that is there already is left alone.
set -euo pipefail

label=mlops-action.stand-in=1
suite=bookworm
work=$(mktemp -d /var/tmp/mlops-images.XXXXXX)
trap 'rm -rf "$work"' EXIT

missing() { ! docker image inspect "$1" >/dev/null 2>&1; }
# Where a registry answers, the real image is taken.
pulled() { [ "${MLOPS_STAND_INS:-}" = always ] && return 1; timeout 20 docker pull -q "$1" >/dev/null 2>&1; }
quietly() { "$@" >"$work/log" 2>&1 </dev/null || { tail -20 "$work/log" >&2; return 1; }; }
# Every client has the classic builder, with or without plug-ins.
build() { local tag=$1; shift; DOCKER_BUILDKIT=0 docker build -q --label $label -t "$tag" "$@" >"$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; return 1; }; }

debian() {
  "$(dirname "$0")/need.sh" debootstrap
  local format targets=$work/targets root=$work/root mirror
  # shellcheck disable=SC2016
  format='$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)'
  list() { apt-get indextargets --format "$format" 'Created-By: Packages' | awk -F'|' '$1 == "Debian"' | sort -u >"$targets"; }
  list
  [ -s "$targets" ] || { quietly apt-get -qq update; list; }
  mirror=$(awk -F'|' -v s=$suite '$3 == s && $4 == "main" { print $2; exit }' "$targets")
  [ -n "$mirror" ] || { echo "base-images.sh: apt knows no mirror of Debian $suite" >&2; return 1; }
  quietly debootstrap --variant=minbase $suite "$root" "$mirror"
  # Sources, fetch settings and extra certificate authorities as apt has them here.
  awk -F'|' '{ print "deb", $2, $3, $4 }' "$targets" | sort -u >"$root/etc/apt/sources.list"
  apt-config dump | grep -E '^Acquire::(Check|http|https|Retries)' >"$root/etc/apt/apt.conf.d/90-machine" || true
  mkdir -p "$root/usr/local/share/ca-certificates"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$root/usr/local/share/ca-certificates/" \; 2>/dev/null || true
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
  rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root/etc/resolv.conf" "$root/etc/hostname" \
    "$root"/usr/share/{man,info,locale,doc}/*
  tar -C "$root" --numeric-owner --one-file-system -cf - . | docker import --change "LABEL $label" --change 'CMD ["bash"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1" >/dev/null
}

rust() {
  local sysroot host dir=$work/rust
  sysroot=$(cd / && rustc --print sysroot)
  host=$(cd / && rustc -vV | sed -n 's/^host: //p')
  mkdir -p "$dir"
  # How cargo reaches its registry here, without its credentials.
  : >"$dir/cargo-config.toml"
  if [ -f "${CARGO_HOME:-$HOME/.cargo}/config.toml" ]; then
    grep -viE '^ *"?(token|secret)' "${CARGO_HOME:-$HOME/.cargo}/config.toml" >"$dir/cargo-config.toml" || true
  fi
  cat >"$dir/Dockerfile" <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates gcc libc6-dev pkg-config >/dev/null && rm -rf /var/lib/apt/lists/*
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY toolchain /usr/local/rustup/toolchains/machine
COPY cargo-config.toml /usr/local/cargo/config.toml
RUN mkdir -p /usr/local/cargo/bin && ln -s /usr/local/rustup/toolchains/machine/bin/* /usr/local/cargo/bin/ && rustc --version
DOCKERFILE
  (cd "$sysroot" && printf '%s\0' bin/cargo bin/rustc lib/*.so* "lib/rustlib/$host" >"$work/files")
  tar -cf - -C "$dir" Dockerfile cargo-config.toml -C "$sysroot" --transform 's,^\(bin\|lib\)/,toolchain/\1/,' --null -T "$work/files" | build "$1" -
}

postgres() {
  local dir=$work/postgres
  mkdir -p "$dir"
  cat >"$dir/docker-entrypoint.sh" <<'SCRIPT'
#!/usr/bin/env bash
# What users of the official image rely on: the POSTGRES_* variables, a socket only until it is ready, the user postgres.
set -euo pipefail
[ "${1:-}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chmod 700 "$PGDATA"
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres} db=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo 'POSTGRES_PASSWORD must be given' >&2
    exit 1
  fi
  initdb -U "$user" --encoding=UTF8 --locale=C.UTF-8 --auth=trust >/dev/null
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
  pg_ctl -s -w start -o "-c listen_addresses=''"
  run() { psql -qX -v ON_ERROR_STOP=1 -U "$user" "$@"; }
  [ "$db" = postgres ] || run -d postgres -v d="$db" <<<'create database :"d";'
  [ -z "${POSTGRES_PASSWORD:-}" ] || run -d postgres -v u="$user" -v p="$POSTGRES_PASSWORD" <<<"alter role :\"u\" password :'p';"
  pg_ctl -s -m fast -w stop
fi
exec "$@"
SCRIPT
  cat >"$dir/Dockerfile" <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null \
 && sed -ri 's/#?(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf \
 && apt-get install -y -qq --no-install-recommends postgresql-15 >/dev/null && rm -rf /var/lib/apt/lists/* \
 && sed -ri "s/^#?listen_addresses.*/listen_addresses = '*'/" /usr/share/postgresql/15/postgresql.conf.sample \
 && mkdir -p /var/lib/postgresql/data && chown postgres:postgres /var/lib/postgresql/data
ENV PGDATA=/var/lib/postgresql/data LANG=C.UTF-8 PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
DOCKERFILE
  chmod 755 "$dir/docker-entrypoint.sh"
  build "$1" "$dir"
}

# gitlab-ci-local copies artifacts with rsync …
helper() {
  printf '%s\n' 'FROM debian:bookworm-slim' \
    'RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends rsync >/dev/null && rm -rf /var/lib/apt/lists/*' | build "$1" -
}

# … and waits for services with "host:port -t seconds".
wait_for() {
  mkdir -p "$work/wait"
  cat >"$work/wait/wait-for-it" <<'SCRIPT'
#!/bin/bash
address=${1:?host:port} seconds=30
shift
while [ $# -gt 0 ]; do case $1 in -t) seconds=$2; shift ;; esac; shift; done
for _ in $(seq 1 $((seconds * 4))); do (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null && exit 0; sleep 0.25; done
exit 124
SCRIPT
  chmod 755 "$work/wait/wait-for-it"
  printf '%s\n' 'FROM debian:bookworm-slim' 'COPY wait-for-it /usr/local/bin/wait-for-it' 'ENTRYPOINT ["wait-for-it"]' >"$work/wait/Dockerfile"
  build "$1" "$work/wait"
}

make() { # function, image
  missing "$2" || return 0
  case $2 in mlops-action/*) ;; *) pulled "$2" && return 0 ;; esac
  echo "making a stand-in for $2" >&2
  "$1" "$2"
}
make debian debian:bookworm-slim
make rust rust:1.95-slim-bookworm
make postgres postgres:15
make helper mlops-action/gitlab-ci-local-helper:latest
make wait_for mlops-action/gitlab-ci-local-wait:latest
