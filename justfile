# Lists the recipes.
default:
    @just --list

# Simulator, service and one job in one process.
demo:
    cargo run --release -- demo

# All tests.
test:
    cargo test

# Formatting and lints.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# The library's documentation.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# The callback path beside an empty handler (needs wrk).
bench:
    cargo bench --bench callback_rate

# What a change must pass.
ci:
    .ci/run
