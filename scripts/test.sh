#!/usr/bin/env bash
# The set-up, then every test: unit, property and end-to-end tests, then the examples in the documentation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
# Release only: LibTorch's bindings take minutes to compile, so there is one profile for runs, tests and lints.
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --workspace
    cargo test --release --workspace --doc
else
    cargo test --release --workspace
fi
