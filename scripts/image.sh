#!/usr/bin/env bash
# Builds the image under the name that action.yml and the GitLab template use, and the slim one beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

image=$(sed -n 's|^  image: docker://||p' action.yml)
scripts/engine.sh
scripts/base-images.sh
builder=1
docker buildx version >/dev/null 2>&1 || builder=0
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
revision=$(git -c safe.directory='*' rev-parse HEAD 2>/dev/null || echo unknown)
build() { # name, arguments
  DOCKER_BUILDKIT=$builder docker build -q --build-arg VERSION="$version" --build-arg REVISION="$revision" -t "$@" . 2> >(grep -vE 'DEPRECATED|buildx|^$' >&2)
}
build "$image-slim" --target slim
build "$image"
for name in "$image" "$image-slim"; do
  docker run --rm "$name" --version
  docker image inspect -f '{{.RepoTags}} {{.Size}} bytes' "$name"
done
