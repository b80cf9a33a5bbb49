#!/usr/bin/env bash
# lint-ci.sh TOOLS: action, workflows, template and Dockerfile, by the platforms' own schemas and linters.
set -euo pipefail
tools=${1:?folder}/lint/bin
cd "$(dirname "$0")/.."

"$tools/actionlint" .github/workflows/*.yml
"$tools/zizmor" --offline --quiet action.yml .github/workflows
"$tools/check-jsonschema" --builtin-schema vendor.github-actions action.yml
"$tools/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml tests/e2e/github.yml
# The template has two documents: the header of inputs, and the job.
job=$(mktemp --suffix .yml)
trap 'rm -f "$job"' EXIT
sed '1,/^---$/d' .gitlab-ci-template.yml >"$job"
"$tools/check-jsonschema" --builtin-schema vendor.gitlab-ci "$job"
"$tools/hadolint" --failure-threshold warning Dockerfile
"$tools/check-jsonschema" --schemafile docs/schema/mlops.schema.json fixtures/flights/mlops.yml
