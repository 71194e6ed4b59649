# Lists the recipes.
default:
    @just --list

# Simulator, service and one job in one process.
demo:
    cargo run --release -- demo

# The inner loop, in seconds: formatting, types, one group of tests.
check group="architecture::":
    cargo fmt --check
    cargo check --all-targets
    cargo test --test it {{group}}

# All tests.
test:
    cargo test

# Formatting and lints.
lint:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings

# The library's documentation.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# The callback path beside an empty handler, with and without forwarding (needs wrk).
bench:
    cargo bench --bench callback_rate

# kill -9 at random, a thousand times (about 10 minutes).
kill rounds="1000":
    SCRAPEHOOK_KILL_ROUNDS={{rounds}} cargo test --test it kill:: -- --nocapture

# Ends the process at each passing of each fail point (about a minute).
kill-matrix:
    SCRAPEHOOK_KILL_PASSINGS=1000 cargo test --test it kill_matrix:: -- --nocapture

# Ten subscribers of twenty thousand events, three of which fail often, and ten kills (about 10 minutes).
forwarding events="20000" kills="10":
    SCRAPEHOOK_FORWARD_EVENTS={{events}} SCRAPEHOOK_FORWARD_KILLS={{kills}} cargo test --release --test it forwarding:: -- --nocapture

# Every order of every choice from sets of six, and a longer random walk (about 10 minutes).
orders:
    SCRAPEHOOK_ORDERS_SET=6 SCRAPEHOOK_ORDERS=1200 cargo test --test it orders:: -- --nocapture

# Random users, an upstream that loses answers, and 200 kills: no charge beyond the asks (about 20 minutes).
money:
    SCRAPEHOOK_MONEY=10000 SCRAPEHOOK_MONEY_KILLS=200 cargo test --test it money:: -- --nocapture

# A hundred thousand forged callbacks, ten thousand idle connections.
floods:
    SCRAPEHOOK_FORGED=100000 SCRAPEHOOK_IDLE=10000 cargo test --test it floods:: -- --nocapture

# A bad upstream, a thousand huge answers.
upstream-faults:
    SCRAPEHOOK_HUGE=1000 cargo test --test it upstream_faults:: -- --nocapture

# A disk that fails, files that are damaged.
disk:
    cargo test --test it -- faulty_disk:: disk:: damage:: --nocapture

# Half an hour under load with faults on and a restart a minute.
soak minutes="30":
    SCRAPEHOOK_SOAK_MINUTES={{minutes}} cargo test --test it soak:: -- --nocapture

# Retention over a million events, while callbacks arrive and readers read (about 12 minutes, and 3 GB of disk).
retention events="1000000":
    SCRAPEHOOK_RETENTION_EVENTS={{events}} cargo test --release --test it retention_load:: -- --nocapture

# Each fuzz target for so many seconds (needs nightly and cargo-fuzz).
fuzz seconds="600":
    fuzz/run {{seconds}}

# Generated requests against the API's description (needs Python).
schemathesis examples="100":
    tests/api/schemathesis {{examples}}

# Metrics and alert rules, as Prometheus sees them (needs promtool).
promtool:
    tests/metrics/promtool

# A task's trace, as a real collector takes it (needs Python).
collector:
    tests/traces/collector

# The image and compose.yaml: a job, a crash, a stop (needs Docker).
container:
    tests/container/run

# Litestream beside the service, and the loss of the machine (needs Python, and litestream or a package index).
litestream:
    tests/backups/litestream

# Workflows, shell scripts, and the steps of a release that publish nothing (needs Python, and a package index).
workflows:
    tests/workflows/lint

# Licences and sources of dependencies (needs cargo-deny).
deny:
    cargo deny --locked check bans licenses sources

# What a change must pass.
ci:
    .ci/run
