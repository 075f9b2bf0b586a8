# On a fresh machine: `make run` and `make test`. `make deps` installs what they need, or says what to install; `make release` builds
# for production.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Each measures one part: docs/benchmarks.md.
BENCHES := $(addprefix bench-,fanout flood durability growth boards)

.PHONY: run release test test-build test-long test-cluster lint lint-deps audit deps test-deps client bench bench-all $(BENCHES) \
	bench-micro instructions faults fuzz

# Compiles without optimization, in minutes; `make release` is for production.
run: deps
	cargo build --locked --profile quick
	exec ./target/quick/laurel serve

release: deps
	cargo build --locked --release

# Format, linters, documentation and all tests. Clippy runs while the tests are compiled, and rustdoc uses the dependencies that were
# compiled for them: `cargo clippy` and `cargo doc` would compile everything once more, which is half of CI's time.
test: export RUSTC_WORKSPACE_WRAPPER := clippy-driver
test: export CLIPPY_ARGS := -Dwarnings
test: export RUSTDOC := $(CURDIR)/.ci/document
test: deps
	$(MAKE) lint
	$(MAKE) --jobs=2 test-deps test-build
	cargo test --locked
	LAUREL_TEST_SHARDS=8 cargo test --locked --test laurel -- $(ON_SHARDS)

# What `make test` runs a second time on 8 shards, as `make test-cluster` does: scripts, races, restored boards, lost publications, retries.
ON_SHARDS := scripts:: races:: ledger::rebuild ledger::reshard ledger::acknowledge live::lost live::newest http::idempotency http::board

# A separate target, so that packages are downloaded while it compiles.
test-build:
	cargo test --locked --no-run

# All linters but Clippy, which `make test` runs: rustfmt, luacheck (.luacheckrc), Biome (biome.jsonc), cargo-deny (deny.toml).
lint: lint-deps
	cargo fmt --check
	luacheck --quiet lua
	tests/lint/node_modules/.bin/biome lint --error-on-warnings
	tests/lint/tools/bin/cargo-deny --locked check bans licenses sources

# Linters are pinned; nothing is downloaded again while their versions stay.
lint-deps: tests/lint/tools/bin/cargo-deny tests/lint/node_modules/.package-lock.json
	@bash deploy/install.sh luacheck:lua-check

tests/lint/tools/bin/cargo-deny: tests/lint/requirements.txt
	@bash deploy/install.sh venv:python3-venv
	@python3 -m venv tests/lint/tools
	@tests/lint/tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement $<
	@touch $@

tests/lint/node_modules/.package-lock.json: tests/lint/package-lock.json
	@bash deploy/install.sh node:nodejs npm:npm
	@npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/lint
	@touch $@

# Checks the dependencies against RustSec's advisories, which it downloads. Not in `make test`, which needs no network of that kind.
audit: lint-deps
	tests/lint/tools/bin/cargo-deny --locked check advisories

# The same tests with many more random calls, inputs and rounds.
test-long: export LAUREL_RACE_ROUNDS := 1000
test-long: export LAUREL_MODEL_CASES := 200
test-long: export LAUREL_BOARD_AWARDS := 100000
test-long: export LAUREL_FUZZ_CASES := 1000
test-long: test

# The same tests on a Redis Cluster of six processes, with 8 shards, but for those that start their own stores or need none.
test-cluster: deps test-deps
	cargo build --locked --examples
	LAUREL_TEST_SHARDS=8 cargo test --locked --test laurel -- --skip deploy:: --skip embedded:: --skip faults:: \
		--skip quickstart:: --skip tidy::

# Coverage-guided fuzzing of every parser and state machine, SECONDS each, one after the other. TARGETS="login frames" chooses targets,
# KEEP=1 adds what was found to the corpora: see fuzz/README.md. `make test` runs the corpora.
fuzz:
	@bash deploy/install.sh c++:g++
	fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

# Programs and packages that tests use: the official Socket.IO client, HAProxy, PgBouncer, promtool, a browser, libfaketime, and what
# checks the files of deploy/ and the OpenAPI document.
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

# Compiles the TypeScript client. The compiled files are committed, so that Laurel builds with Rust alone.
client:
	npm ci --silent --no-audit --no-fund --prefix clients/typescript
	npm run --silent --prefix clients/typescript build

# The standard set, in less than ten minutes. Each load test writes its section of loadtest/RESULTS.md.
bench: deps
	cargo build --release --example loadtest --bin laurel
	./target/release/examples/loadtest

bench-all: bench $(BENCHES)

$(BENCHES): bench-%: deps
	cargo build --release --example loadtest --bin laurel
	./target/release/examples/loadtest $*

# Times each hot function alone. HOT=board chooses.
bench-micro:
	cargo bench --bench hot -- $(HOT)

# Counts the instructions of an award, and fails if they exceed the committed counts; UPDATE=1 replaces those counts.
instructions: deps
	@bash deploy/install.sh valgrind:valgrind
	cargo build --release --example loadtest --bin laurel
	./target/release/examples/loadtest instructions $(if $(UPDATE),--update)

# Injects faults under load, a hundred rounds, and prints the seed. FAULTS="--seed 7" passes options on.
faults: deps
	cargo build --release --example faults --bin laurel
	./target/release/examples/faults --rounds 100 $(FAULTS)

deps:
	@bash deploy/install.sh redis-server:redis-server postgres:postgresql curl:curl cc:gcc \
		update-ca-certificates:ca-certificates
