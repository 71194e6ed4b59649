# Lists the recipes.
default:
    @just --list

# Simulator, service and one job in one process.
demo:
    cargo run --release -- demo

# All tests.
test:
    cargo test

# The callback path beside an empty handler (needs wrk).
bench:
    cargo bench --bench callback_rate

# What a change must pass.
ci:
    .ci/run
