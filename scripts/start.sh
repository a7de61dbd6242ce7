#!/usr/bin/env bash
# From a fresh clone to a trained policy: the set-up, then two rounds of search and training (`just iterate`).
# Arguments go on to `step-train round`. Repeat the command to go on after an interruption.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
scripts/just.sh iterate "$@"
