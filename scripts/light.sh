#!/usr/bin/env bash
# Builds and tests what needs no LibTorch, down to an mcts-gen that searches with servers; minutes less than everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

light=(files settings table tree task tokenizer search server judges eval trainer rounds fuzz cli)
packages=()
for name in "${light[@]}"; do packages+=(-p "espalier-$name"); done

# A crate that reaches LibTorch by any way is no light one.
tree=$(cargo tree --quiet "${packages[@]}" --no-default-features -e normal,build --prefix none)
if grep -E '^(tch|torch-sys) ' <<<"$tree"; then
    echo "light.sh: a crate of the light lane depends on LibTorch" >&2
    exit 1
fi
# The development profile: its dependencies compile in half the time, and nothing here computes for long. A folder of its
# own, since what is compiled with other features would push out what the rest uses.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/light
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run "${packages[@]}" --no-default-features --lib --bins --tests
else
    cargo test "${packages[@]}" --no-default-features --lib --bins --tests
fi
