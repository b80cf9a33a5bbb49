#!/bin/sh
# GitLab's runner starts the image with a shell and feeds it the script: an entrypoint that ignored that would be green
# without running anything.
case "${1-}" in
  sh | bash | */sh | */bash) exec "$@" ;;
  *) exec mlops "$@" ;;
esac
