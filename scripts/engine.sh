#!/usr/bin/env bash
# Makes `docker info` answer: installs Debian's docker.io where there is no dockerd, starts it, waits.
set -euo pipefail
cd "$(dirname "$0")"

answers() { docker info >/dev/null 2>&1; }
answers && exit 0
[ "$(id -u)" = 0 ] || { echo "engine.sh: no Docker engine answers, and only root can start one" >&2; exit 1; }
./need.sh docker

log=${TMPDIR:-/tmp}/mlops-dockerd.log
start() {
  rm -f /var/run/docker.pid
  setsid nohup dockerd "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  for _ in $(seq 1 120); do
    answers && return 0
    kill -0 $pid 2>/dev/null || return 1
    sleep 0.5
  done
  kill $pid 2>/dev/null || true
  return 1
}
# vfs is slow, but works where a container itself is the machine.
start || start --storage-driver=vfs || { tail -5 "$log" >&2; exit 1; }
