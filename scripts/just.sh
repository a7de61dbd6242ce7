#!/usr/bin/env bash
# Runs `just`: the one on the PATH, else the one that the set-up keeps in the user's cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v just >/dev/null || PATH="$(python3 scripts/just.py):$PATH"
exec just "$@"
