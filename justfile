# Recipes for daily work; `just` alone lists them. The set-up (scripts/setup.sh) brings `just` when it is missing.

run := "data/run"

[private]
default:
    @just --list --unsorted

# prepare LibTorch and tools, build the executables
setup:
    scripts/setup.sh

# from generated problems to a report: a fresh policy, then rounds of search and training; repeat to resume
iterate *ARGS: build
    target/release/step-train init --out {{run}}
    target/release/step-train round --run {{run}} --all {{ARGS}}
    target/release/step-train report --run {{run}}

# runs side by side over seeds, with intervals (NAME: a file in data/experiments): hours; repeat to resume, or to share the work
experiment NAME *ARGS: build
    target/release/step-train experiment data/experiments/{{NAME}}.toml --out data/experiment-{{NAME}} {{ARGS}}

[private]
build:
    cargo build --release --bins

# every test, as CI runs them
test:
    scripts/test.sh

# formatting, clippy and documentation, warnings as errors
lint: fmt clippy doc

[private]
fmt:
    cargo fmt --all --check

[private]
clippy:
    cargo clippy --release --workspace --all-targets -- -D warnings

[private]
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps

# a kill at every write, sync, rename and removal of every stage: the same bytes (minutes)
kills:
    cargo nextest run --release --workspace --run-ignored only --no-capture -E 'test(every_kill)'

# broken, hostile and strange inputs for every loader and parser: ten million (a quarter of an hour)
fuzz *ARGS:
    cargo run --release -p espalier-fuzz -- --inputs 10000000 {{ARGS}}

# time the hot paths
bench *ARGS:
    cargo bench {{ARGS}}

# write SmolLM2-135M-Instruct, a real small language model, as a Hugging Face folder
smollm2 OUT:
    python3 scripts/smollm2.py --out {{OUT}}
