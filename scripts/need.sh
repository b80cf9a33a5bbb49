#!/usr/bin/env bash
# need.sh WHAT…: installs what is missing on a Debian-like machine. WHAT: postgres, python, ps, docker, node, chromium, or any command that is a package.
set -euo pipefail

packages=()
for what in "$@"; do
  case $what in
    postgres)
      # The server's binaries are what counts; Debian keeps them off PATH.
      compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || packages+=(postgresql)
      command -v psql >/dev/null || packages+=(postgresql-client) ;;
    python)
      command -v python3 >/dev/null || packages+=(python3)
      python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv) ;;
    docker) command -v dockerd >/dev/null || packages+=(docker.io iptables) ;;
    ps) command -v ps >/dev/null || packages+=(procps) ;;
    chromium)
      command -v chromium >/dev/null || packages+=(chromium)
      # Reports have symbols.
      compgen -G '/usr/share/fonts/truetype/noto/NotoColorEmoji*' >/dev/null || packages+=(fonts-noto-color-emoji) ;;
    node) command -v npm >/dev/null || packages+=(nodejs npm) ;;
    *) command -v "$what" >/dev/null || packages+=("$what") ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "need.sh: please install ${packages[*]} with your system's package manager" >&2
  exit 1
fi
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
echo "installing ${packages[*]}" >&2
# No service is to start by itself: tests and demo bring their own servers.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
  "${sudo[@]}" chmod +x $policy
  made=1
fi
install() {
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
}
status=0
install || { "${sudo[@]}" apt-get -qq update && install; } || status=$?
[ -z "$made" ] || "${sudo[@]}" rm -f $policy
exit $status
