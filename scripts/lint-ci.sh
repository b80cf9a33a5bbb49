#!/usr/bin/env bash
# lint-ci.sh TOOLS: action, workflows, template and Dockerfile, by the platforms' own schemas and linters; the examples in the
# documentation too, and what `mlops init` writes.
set -euo pipefail
tools=${1:?folder}/lint/bin
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
github=(.github/workflows/*.yml docs/workflows/github/*.yml)
gitlab=(docs/workflows/gitlab/*.yml)
if [ -n "${MLOPS:-}" ]; then
  mkdir -p "$work/init/migrations"
  echo 'create table t (a int);' >"$work/init/migrations/0001_t.up.sql"
  (cd "$work/init" && "$MLOPS" init --ci github >/dev/null && "$MLOPS" init --ci gitlab >/dev/null)
  github+=("$work/init/.github/workflows/mlops.yml")
  gitlab+=("$work/init/.gitlab-ci.yml")
fi

"$tools/actionlint" "${github[@]}"
"$tools/zizmor" --offline --quiet --config .github/zizmor.yml action.yml "${github[@]}"
"$tools/check-jsonschema" --builtin-schema vendor.github-actions action.yml
"$tools/check-jsonschema" --builtin-schema vendor.github-workflows "${github[@]}" tests/e2e/github/*.yml
# The template has two documents: the header of inputs, and the job.
sed '1,/^---$/d' .gitlab-ci-template.yml >"$work/job.yml"
"$tools/check-jsonschema" --builtin-schema vendor.gitlab-ci "$work/job.yml" "${gitlab[@]}"
"$tools/hadolint" --failure-threshold warning Dockerfile
"$tools/check-jsonschema" --schemafile docs/schema/mlops.schema.json fixtures/flights/mlops.yml
