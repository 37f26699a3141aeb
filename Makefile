# Everything here is a thin name for a script or a cargo command, so that each can be run by hand.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Which engine `make engine` starts: 20 (Debian 12's own) or 28 (newer, from Debian sid).
ENGINE ?= 20
# Rounds of `make soak`.
N ?= 100
# Kubernetes version of the node image; empty means the default.
KUBERNETES_VERSION ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Two clusters with LoadBalancer addresses, from nothing, and a page fetched through each
	@scripts/demo

.PHONY: engine
engine: ## Start a container engine from Debian's packages (ENGINE=20 or ENGINE=28)
	@scripts/engine start $(ENGINE)

.PHONY: engine-stop
engine-stop: ## Stop the engine that was started here
	@scripts/engine stop

.PHONY: build
build: ## Build the release binary
	@cargo build --release --locked

.PHONY: node-image
node-image: ## Build the offline node image, where images cannot be pulled (KUBERNETES_VERSION=...)
	@scripts/node-image $(KUBERNETES_VERSION)

.PHONY: node-image-compare
node-image-compare: ## Build the node image a second time from an empty cache, and compare the two
	@scripts/node-image-compare $(KUBERNETES_VERSION)

.PHONY: test
test: ## Run the tests: lint, units, both engines, whole clusters (longer: soak, faults, fuzz, test-vm)
	@scripts/test all

.PHONY: test-unit
test-unit: ## Run the tests that need no engine and no node image
	@scripts/test unit

.PHONY: test-engine
test-engine: ## Run the tests of the engine layer, on the engine that answers
	@scripts/test engine

.PHONY: test-cluster
test-cluster: ## Run the tests with whole clusters, on the engine that answers
	@scripts/test cluster

.PHONY: test-profiles
test-profiles: ## Run the tests beside kind and those of the mesh with both profiles, on the engine that answers
	@scripts/test profiles

.PHONY: test-fleets
test-fleets: ## Run the tests of what tests of others use, and their examples, on the engine that answers
	@scripts/test testing

.PHONY: test-vm
test-vm: ## Whole clusters in an emulated machine: control groups of version 2, privileged, IPv6, an engine behind TLS (slow)
	@scripts/test-vm

.PHONY: faults
faults: ## Let everything go wrong, at every step, on the engine that answers (an hour); writes target/faults.json and the README's table
	@scripts/test faults

.PHONY: fuzz
fuzz: ## Give what is read inputs nobody would write, for long (KINDMESH_FUZZ_SECONDS=300 for each kind)
	@scripts/test fuzz

.PHONY: soak
soak: ## Make, look at and remove a cluster N times (N=100), on the engine that answers; writes target/soak.json and its row of the README's table
	@scripts/test soak $(N)

.PHONY: bench
bench: ## Measure whole fleets and meshes on the engine that answers (on 28 beside kind, kubectl and helm)
	@scripts/engine ensure
	@scripts/node-image
	@cargo bench --locked

.PHONY: lint
lint: ## Check format, lints, documentation, banned dependencies, scripts and Go programs
	@scripts/lint

.PHONY: clean-fleets
clean-fleets: ## Remove every fleet and cluster that kindmesh made on this engine
	@cargo build --release --locked
	@"$${CARGO_TARGET_DIR:-target}/release/kindmesh" down --all
