#!/usr/bin/env bash
# Builds the image under the name that action.yml and the GitLab template use.
set -euo pipefail
cd "$(dirname "$0")/.."

image=$(sed -n 's|^  image: docker://||p' action.yml)
scripts/engine.sh
scripts/base-images.sh
builder=1
docker buildx version >/dev/null 2>&1 || builder=0
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
revision=$(git -c safe.directory='*' rev-parse HEAD 2>/dev/null || echo unknown)
DOCKER_BUILDKIT=$builder docker build -q --build-arg VERSION="$version" --build-arg REVISION="$revision" -t "$image" . 2> >(grep -vE 'DEPRECATED|buildx|^$' >&2)
docker run --rm "$image" --version
docker image inspect -f '{{.RepoTags}} {{.Size}} bytes' "$image"
