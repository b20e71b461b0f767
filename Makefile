# Two commands matter: `make demo` and `make test`. Both install what is missing and leave alone what is there.
#
#   make demo [ARGS=--exit]   sample databases, an S3 server and meesh on them; three federated queries
#   make test                 the whole: lints, SQL files, connectors, real clients and faults
#   make unit-test k8s-test   the suites of the single crates; the manifests and the image
#   make check                format, lints and licences only
#   make bench [ARGS=...]     TPC-H over PostgreSQL and S3 beside DuckDB; writes benches/report/
#   make soak [MINUTES=10]    64 mixed clients; fails on an error or growing memory
#   make image                a small OCI image, without a container engine

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One target directory for people and CI, outside the tree: DataFusion is compiled once a machine.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/meesh/target
export MEESH_BIN ?= $(CARGO_TARGET_DIR)/release/meesh
CACHE := $(HOME)/.cache/meesh
TEST_PYTHON := $(CACHE)/venv/bin/python
BENCH_PYTHON := $(CACHE)/bench/venv/bin/python
MINUTES ?= 10

.PHONY: help build demo test lint rust-test unit-test k8s-test client-test check deny bench soak image

help:
	@sed -n '3,9s/^# *//p' Makefile

build:
	cargo build --release --locked

demo:
	@scripts/install_tools.sh compiler postgresql
	@$(MAKE) --no-print-directory build
	@$(MEESH_BIN) demo $(ARGS)

test:
	@scripts/install_tools.sh compiler postgresql python
	@$(MAKE) --no-print-directory lint rust-test client-test

lint:
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

# The whole house: SQL files, conformance of the connectors, architecture; and the crates everybody stands on.
rust-test:
	cargo test --release --locked -p meesh --test main
	cargo test --release --locked -p meesh -p meesh-base -p meesh-connector-spi --lib

# Every crate's own suite.
unit-test:
	cargo test --release --locked --workspace

client-test: build
	@scripts/python_env.sh $(CACHE)/venv tests/requirements.txt
	$(TEST_PYTHON) -m pytest -q -ra tests/clients

# The manifests, and the image under containerd and runc.
k8s-test:
	@scripts/python_env.sh $(CACHE)/venv tests/requirements.txt tests/k8s/requirements.txt
	$(TEST_PYTHON) -m pytest -q -ra tests/k8s

check: lint deny

deny:
	@scripts/install_tools.sh cargo-deny
	PATH="$(CACHE)/tools/bin:$$PATH" cargo deny --locked check bans licenses sources

bench:
	@scripts/install_tools.sh compiler postgresql python
	@$(MAKE) --no-print-directory build
	@scripts/python_env.sh $(CACHE)/bench/venv benches/requirements.txt
	$(BENCH_PYTHON) benches/run.py $(ARGS)

soak:
	@scripts/install_tools.sh compiler postgresql python
	@$(MAKE) --no-print-directory build
	@scripts/python_env.sh $(CACHE)/venv tests/requirements.txt
	$(TEST_PYTHON) tests/clients/soak.py --minutes $(MINUTES)

image:
	python3 scripts/make_image.py $(ARGS)
