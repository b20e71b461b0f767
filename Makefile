# Two commands matter: `make demo` and `make test`. Both install what is missing and leave alone what is there.
#
#   make demo [ARGS=--exit]   sample databases, an S3 server and meesh on them; three federated queries
#   make test                 everything: lints, every crate, SQL files, real clients, faults, manifests and image
#   make rust-test            a part of it; the others are lint, client-test and k8s-test
#   make check                format, lints and licences only
#   make bench [ARGS=...]     TPC-H, scans and keys beside DuckDB and psql; writes benches/report/
#   make oracle [QUERIES=5000 SEED=1]  random questions: with pushdown, without, and as PostgreSQL itself answers;
#                             ARGS=--dealt deals the tables over two databases and Parquet
#   make soak [MINUTES=10]    64 mixed clients; fails on an error or growing memory; then what make faults does
#   make faults               kills, restarts, strange names and sums under writes, ten times as often as make test
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
QUERIES ?= 5000
SEED ?= 1
FAULTS := postgres_consistency postgres_restarts postgres_injection writes

.PHONY: help build demo test lint rust-test client-test k8s-test test-python check deny bench oracle soak mixed-clients faults image

help:
	@sed -n '3,12s/^# *//p' Makefile

build:
	cargo build --release --locked

demo:
	@scripts/install_tools.sh compiler postgresql
	@$(MAKE) --no-print-directory build
	@$(MEESH_BIN) demo $(ARGS)

# Each part stands on what the one before it compiled: the binary of rust-test is the one that the clients meet, and
# the image compiles only meesh itself again (tests/k8s/test_image.py holds that). Only clippy's pass is its own.
test:
	@scripts/install_tools.sh compiler postgresql pgbouncer python
	@$(MAKE) --no-print-directory lint rust-test client-test k8s-test

lint:
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

# Every crate's own suite, and that of the whole (tests/main.rs): SQL files, conformance, architecture.
rust-test:
	cargo test --release --locked --workspace

# Real clients of a real server, and faults.
client-test: build test-python
	$(TEST_PYTHON) -m pytest -q -ra tests/clients

# The manifests, and the image under containerd and runc.
k8s-test: test-python
	$(TEST_PYTHON) -m pytest -q -ra tests/k8s

# One environment for all: two lists of packages would replace each other's at every run.
test-python:
	@scripts/python_env.sh $(CACHE)/venv tests/requirements.txt tests/k8s/requirements.txt

check: lint deny

deny:
	@scripts/install_tools.sh cargo-deny
	PATH="$(CACHE)/tools/bin:$$PATH" cargo deny --locked check bans licenses sources

bench:
	@scripts/install_tools.sh compiler postgresql python
	@$(MAKE) --no-print-directory build
	@scripts/python_env.sh $(CACHE)/bench/venv benches/requirements.txt
	$(BENCH_PYTHON) benches/run.py $(ARGS)

oracle:
	@scripts/install_tools.sh compiler postgresql python
	@$(MAKE) --no-print-directory build test-python
	$(TEST_PYTHON) tests/oracle/run.py --seed $(SEED) --queries $(QUERIES) $(ARGS)

soak: mixed-clients faults

mixed-clients:
	@scripts/install_tools.sh compiler postgresql python
	@$(MAKE) --no-print-directory build test-python
	$(TEST_PYTHON) tests/clients/soak.py --minutes $(MINUTES)

# The counts that the promises name; each file says what its count is. The machine is taken to be otherwise idle: the
# query after a fault is given its one second.
faults:
	@scripts/install_tools.sh compiler postgresql pgbouncer python
	@$(MAKE) --no-print-directory build test-python
	MEESH_TEST_SECONDS=60 MEESH_TEST_ROUNDS=200 MEESH_TEST_NEXT_SECONDS=1 MEESH_TEST_STRINGS=100000 MEESH_TEST_KILLS=100 \
	  $(TEST_PYTHON) -m pytest -q -ra $(addprefix tests/clients/test_,$(FAULTS:=.py))

image:
	python3 scripts/make_image.py $(ARGS)
