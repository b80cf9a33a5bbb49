#!/usr/bin/env bash
# Licences, bans and sources of every dependency; advisories too where the database of them can be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

# Built once, outside the checkout and with settings of its own.
root=${MLOPS_DENY_ROOT:-$HOME/.cache/mlops-action/cargo-deny}
if ! [ -x "$root/bin/cargo-deny" ]; then
  CARGO_TARGET_DIR=$root/target CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo install --quiet --locked --root "$root" cargo-deny@0.20.2
  rm -rf "$root/target"
fi
"$root/bin/cargo-deny" --log-level error check bans licenses sources
if timeout 60 "$root/bin/cargo-deny" --log-level error fetch db >/dev/null 2>&1; then
  "$root/bin/cargo-deny" --log-level error check advisories
else
  echo "the advisory database cannot be reached here: advisories were not checked" >&2
fi
