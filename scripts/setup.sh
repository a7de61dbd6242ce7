#!/usr/bin/env bash
# Prepares what the project needs and builds its executables. Safe to repeat; quick when all is there.
# Downloads go to the user's cache folder and serve every clone: only crates are fetched for a second one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=0
need() { # need WHAT HOW: names one missing thing and what to install
    echo "set-up: $1 is missing; $2" >&2
    missing=1
}

# Cargo itself refuses a Rust that is too old, but crate by crate and only after downloading them.
rust_version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
    need "cargo" "install Rust $rust_version or newer, best with rustup"
else
    found=$(cargo --version | cut -d ' ' -f 2)
    oldest=$(printf '%s\n' "$rust_version" "${found%%-*}" | sort -V | head -n 1)
    [ "$oldest" = "$rust_version" ] ||
        need "Rust $rust_version (this is $found)" "run 'rustup update stable', or install a newer Rust"
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    need "python3, version 3.8 or newer" "install Python 3 (Debian: apt install python3 python3-pip)"
elif ! python3 -c 'import importlib.util as u, sys; sys.exit(u.find_spec("pip") is None)'; then
    need "pip for python3" "install it (Debian: apt install python3-pip; elsewhere: python3 -m ensurepip)"
fi
for compiler in "${CC:-cc}" "${CXX:-c++}"; do
    command -v "${compiler%% *}" >/dev/null ||
        need "the compiler $compiler" "install C and C++ compilers (Debian: apt install build-essential)"
done
command -v git >/dev/null || need "git" "install it (Debian: apt install git)"
[ "$missing" = 0 ] || exit 1

python3 scripts/libtorch.py
command -v just >/dev/null || python3 scripts/just.py >/dev/null

cargo build --release --bins
