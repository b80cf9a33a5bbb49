#!/usr/bin/env bash
# The main job on the flights, with a throwaway Postgres, in a copy of the example.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?the mlops binary}
binary=$(realpath "$binary")
rm -rf .demo
cp -r fixtures/flights .demo
rm -rf .demo/mlops-out .demo/data/training.parquet*
cd .demo
echo "+ mlops run   (in .demo, a copy of fixtures/flights)"
"$binary" run
echo
echo "written:"
find mlops-out data/training.parquet* -type f | sort | sed 's/^/  .demo\//'
