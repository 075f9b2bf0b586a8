# Two commands for a fresh machine: `make run` and `make test`. `make deps` says or installs what they need; `make release` builds for
# production.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Each measures one part alone. MINUTES=3 says how long `bench-soak` takes, an hour otherwise.
BENCHES := $(addprefix bench-,growth soak durability ledger flood fanout storms metrics traces analytics page shards)

.PHONY: run release test test-build test-long test-cluster deps test-deps client bench bench-all $(BENCHES) bench-micro instructions faults fuzz

# Compiled without optimization, in minutes; `make release` is for production.
run: deps
	cargo build --locked --profile quick
	exec ./target/quick/laurel serve

release: deps
	cargo build --locked --release

# Format, lints, documentation and all tests. Clippy looks on while the tests are compiled, and the documentation is written with the
# dependencies that were compiled for them: `cargo clippy` and `cargo doc` would compile everything once more, half of CI's time.
test: export RUSTC_WORKSPACE_WRAPPER := clippy-driver
test: export CLIPPY_ARGS := -Dwarnings
test: export RUSTDOC := $(CURDIR)/.ci/document
test: deps
	cargo fmt --check
	$(MAKE) --jobs=2 test-deps test-build
	cargo test --locked
	LAUREL_TEST_SHARDS=8 cargo test --locked --test laurel -- $(ON_SHARDS)

# What `make test` runs once more as `make test-cluster` does: scripts, races and traces, restored boards, lost publications, repeats.
ON_SHARDS := scripts:: races:: ledger::rebuild ledger::reshard ledger::acknowledge live::lost live::newest http::idempotency http::scores

# A target of its own, so that packages are fetched while it compiles.
test-build:
	cargo test --locked --no-run

# The same tests with many more random calls, inputs and rounds.
test-long: export LAUREL_RACE_ROUNDS := 1000
test-long: export LAUREL_MODEL_CASES := 200
test-long: export LAUREL_FUZZ_CASES := 1000
test-long: test

# The same tests on a Redis Cluster of six processes, with 8 shards; what has stores of its own, or none, is not tried twice.
test-cluster: deps test-deps
	cargo build --locked --examples
	LAUREL_TEST_SHARDS=8 cargo test --locked --test laurel -- --skip deploy:: --skip embedded:: --skip faults:: \
		--skip quickstart:: --skip tidy::

# Coverage-guided fuzzing of every parser and state machine, SECONDS each, one after the other; TARGETS="login frames" chooses, and
# KEEP=1 keeps what was found: fuzz/README.md. CI tries what is kept in `make test`.
fuzz:
	@bash deploy/install.sh c++:g++
	fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

# The official Socket.IO client, a balancer, a pooler, the tool that checks metrics and rules, a browser, and the library that sets a Redis'
# clock, for the tests that use them; and what checks the files of deploy/ and the OpenAPI document.
test-deps:
	@bash deploy/install.sh node:nodejs npm:npm haproxy:haproxy promtool:prometheus \
		chromium-headless-shell:chromium-headless-shell kubectl:kubernetes-client openssl:openssl venv:python3-venv faketime:faketime \
		pgbouncer:pgbouncer java:default-jre-headless
	@python3 -m venv tests/deploy/tools
	@tests/deploy/tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--requirement tests/deploy/requirements.txt
	@npm ci --silent --no-audit --no-fund --prefix tests/official
	@npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/browser
	@npm ci --silent --no-audit --no-fund --prefix clients/typescript
	@npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/http/openapi

# Compiles the TypeScript client. What comes of it is kept in the tree, so that Rust alone builds Laurel.
client:
	npm ci --silent --no-audit --no-fund --prefix clients/typescript
	npm run --silent --prefix clients/typescript build

# The standard set, in less than ten minutes: what loadtest/RESULTS.md begins with. Each of the others writes a part of its own.
bench: deps
	cargo build --release --example loadtest --bin laurel
	./target/release/examples/loadtest

bench-all: bench $(BENCHES)

$(BENCHES): bench-%: deps
	cargo build --release --example loadtest --bin laurel
	./target/release/examples/loadtest $*

# What hot functions take, each alone. HOT=board chooses.
bench-micro:
	cargo bench --bench hot -- $(HOT)

# Counts the instructions of an award, and fails where there are more than were kept; UPDATE=1 keeps what is counted.
instructions: deps
	@bash deploy/install.sh valgrind:valgrind
	cargo build --release --example loadtest --bin laurel
	./target/release/examples/loadtest instructions $(if $(UPDATE),--update)

# Everything that can fail fails, under load, a hundred rounds; the seed is printed. FAULTS="--seed 7" and such are passed on.
faults: deps
	cargo build --release --example faults --bin laurel
	./target/release/examples/faults --rounds 100 $(FAULTS)

deps:
	@bash deploy/install.sh redis-server:redis-server postgres:postgresql curl:curl cc:gcc \
		update-ca-certificates:ca-certificates
