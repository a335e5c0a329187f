# What a newcomer guesses: demo, test, lint, bench, install. Each sets up what it needs.

# The static libseccomp of this machine's architecture (see .cargo/config.toml).
export LIBSECCOMP_LIB_PATH := $(firstword $(wildcard /usr/lib/$(shell uname -m)-linux-gnu) /usr/lib64)
TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BARGE := $(TARGET_DIR)/$(TRIPLE)/release/barge
PREFIX ?= /usr/local

.PHONY: all build demo test lint bench fuzz install setup-build setup-test clean

all: build

setup-build:
	@scripts/install-packages build

setup-test: setup-build
	@scripts/install-packages test

build: setup-build
	cargo build --release --package barge

# The main job, without any registry: run, ps, logs, exec, a published port, stop, rm.
demo: build
	@scripts/demo $(BARGE)

# Everything CI checks: format, lints, house rules, dependencies, unit, kernel and end-to-end tests.
test: setup-test
	cargo xtask ci

lint: setup-build
	cargo xtask lint

# Barge and its peers side by side; prints medians and ratios.
bench: build
	@scripts/install-packages bench
	@bench/all $(BARGE)

# Fuzzes each parser of hostile files for FUZZ_SECONDS (600); the corpus stays under the target directory.
fuzz: setup-build
	@scripts/install-packages fuzz
	@scripts/fuzz

install: build
	install -D -m 0755 $(BARGE) $(DESTDIR)$(PREFIX)/bin/barge

clean:
	cargo clean
