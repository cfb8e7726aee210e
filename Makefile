# The project's commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tests build once and run once here: incremental data would only cost disk.
export CARGO_INCREMENTAL ?= 0

# The pairs of images that `make test-images` runs on.
IMAGE_PAIRS := rabbitmq:debian12+redis:debian12 rabbitmq:debian13+redis:debian13 rabbitmq:debian13+valkey:debian13

.PHONY: help demo test test-images images test-drain test-rollout test-upgrade chaos soak bench fuzz explore check supply-chain k8s-check dashboards runbooks k8s-write docs docs-check setup

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## the fleet with private brokers and the sandbox; stays until Ctrl-C, ONCE=1 ends by itself
	@deploy/setup.sh demo
	@exec cargo run --quiet --locked --package tests --bin demo $(if $(ONCE),-- --once)

test: ## every test: unit, property, contract and end to end on real brokers
	@deploy/setup.sh test
	@cargo test --workspace --locked

test-images: ## build the broker images of Debian 12 and 13 and run the tests package on each
	@deploy/setup.sh test images
	@tests/images/build.sh all
	@for pair in $(IMAGE_PAIRS); do \
		echo "test-images: $${pair/+/ with }"; \
		PROMEMORIA_REQUIRE_CONTAINERS=1 \
		PROMEMORIA_RABBITMQ_IMAGE="promemoria/$${pair%+*}" PROMEMORIA_REDIS_IMAGE="promemoria/$${pair#*+}" \
		cargo test --locked --package tests; \
	done

images: ## the container images and their bills of materials, without a registry; the same bytes each time
	@deploy/setup.sh images
	@deploy/images/build.sh

test-drain: ## those images, confined, each service stopped under load: nothing lost, nothing twice
	@tests/images/build.sh debian12
	@tests/images/drain.sh

test-rollout: ## those images, idle within 60 MiB of memory, each service replaced under load: nothing lost, nothing twice
	@tests/images/build.sh debian12
	@tests/images/rollout.sh

test-upgrade: ## a rollout from the programs of another commit, OLD=v0.1.0, to these
	@deploy/setup.sh test
	@tests/upgrade.sh $(OLD)

chaos: ## the fault matrix, all or ROWS="F20 F35", FULL=1 for its hours, OPTIMISED=1 for F62; writes docs/guarantees.md; some rows as root
	@deploy/setup.sh test
	@cargo build --quiet --locked $(if $(OPTIMISED),--release) --package tests --bin chaos --bin fleet-process
	@target=$${CARGO_TARGET_DIR:-target}/debug; \
		$${CARGO_TARGET_DIR:-target}/$(if $(OPTIMISED),release,debug)/chaos matrix $(if $(FULL),--full) $(ROWS); \
		cargo build --quiet --locked --package scheduler --package renderer --package dispatcher --package promemoria \
			--package fleet; \
		$$target/chaos points $$target/scheduler $$target/renderer $$target/dispatcher $$target/promemoria \
			$$target/fleet

soak: ## a random mix of faults: SEED=7 MINUTES=30 chooses and repeats it; writes docs/guarantees.md if it held
	@deploy/setup.sh test
	@cargo build --quiet --locked --package tests --bin chaos --bin fleet-process
	@$${CARGO_TARGET_DIR:-target}/debug/chaos soak $(if $(SEED),--seed $(SEED)) --minutes $(or $(MINUTES),30)

bench: ## the fleet against a thin relay of the same hops, on a quiet machine; ONLY=quota one part, REDIS_FIRST=1
	@deploy/setup.sh demo
	@exec cargo run --release --locked --package tests --bin bench -- \
		$(if $(ONLY),--only $(ONLY)) $(if $(REDIS_FIRST),--redis-first)

fuzz: ## damaged events, texts and answers of IO for MINUTES=1 each, led by coverage; make test does 2,000
	@deploy/setup.sh fuzz
	@tests/fuzz.sh $(MINUTES)

explore: ## every state of one message and the world around it, with more faults than make test has; minutes
	@PROMEMORIA_EXPLORE=1 cargo test --release --locked --package shared --lib exploration -- --nocapture

check: ## format, lints and documentation, all without a warning
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	@PATH="$$PWD/target/tools/bin:$$PATH"; if command -v cargo-deny >/dev/null; then \
		cargo-deny --offline check licenses bans sources; \
	else echo "check: cargo-deny is not here: make supply-chain brings it, and checks more"; fi

supply-chain: ## licences, sources, advisories, unused dependencies; compiles its tools once
	@.ci/supply-chain

k8s-check: ## manifests, alerts, dashboards, runbooks; K8S_CRDS=FOLDER takes the operators' own schemas
	@k8s/check/run.sh

dashboards: ## each dashboard over a real fleet and Prometheus for MINUTES=5, as a picture in target/dashboards
	@deploy/setup.sh test images dashboards
	@tests/images/build.sh debian12
	@cargo build --quiet --locked --package tests --bin demo
	@cargo build --quiet --locked -p scheduler -p renderer -p dispatcher -p sandbox -p promemoria
	@deploy/grafana/look/look.py $(if $(MINUTES),--minutes $(MINUTES))

runbooks: ## every command of the runbooks, tried on a real fleet in which what they talk about has happened
	@deploy/setup.sh test images dashboards runbooks
	@k8s/check/tools.sh
	@tests/images/build.sh debian12
	@cargo build --quiet --locked --package tests --bin demo
	@cargo build --quiet --locked -p scheduler -p renderer -p dispatcher -p sandbox -p promemoria
	@docs/check/runbooks.py

k8s-write: ## write the generated manifests of k8s again
	@k8s/catalogue.sh --write
	@k8s/check/tools.sh
	@target/k8s-check/venv/bin/python -B k8s/check/generated.py --write

docs: ## write what is generated in docs/ again
	@cargo run --quiet --locked --package promemoria -- docs --write

docs-check: ## AsyncAPI document, schemas and client examples: validated, compiled, run
	@docs/check/run.sh

setup: ## install what the demo and the tests need and this machine lacks (Debian)
	@deploy/setup.sh demo test
