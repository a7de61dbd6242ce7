#!/usr/bin/env bash
# The set-up, then every test: unit, property and end-to-end tests, then the examples in the documentation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
# LibTorch's threads would spin while they wait; with several tests on few cores they would hold up those they wait for.
export OMP_WAIT_POLICY=passive
# Release only: LibTorch's bindings take minutes to compile, so there is one profile for runs, tests and lints.
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --workspace
    cargo test --release --workspace --doc
else
    cargo test --release --workspace
fi
