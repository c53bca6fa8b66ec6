# The one entry point: a laptop and CI run the same commands. `make` lists them.
#
# Needs GNU make, bash, git, and Python 3.11 or newer with its venv module. Everything else is installed into .venv from
# requirements.lock, where every file is pinned by its hash.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

# Tried in order; `make PYTHON=/usr/local/bin/python3.13 ...` names one.
PYTHON := python3.11 python3.13 python3.12 python3
VENV := $(CURDIR)/.venv
# Test processes. More than the machine has cores makes tests that watch a clock slow, not fast.
WORKERS := 2
# Given to the command as it is: `make test ARGS="-k breaker"`, `make bench ARGS="--help"`.
ARGS :=

export PATH := $(VENV)/bin:$(PATH)
# Empty means off. A machine that sets the first compiles every module at every start, which triples start-up; one that
# sets the second hides what buffered output does to the programs of everybody else.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONUNBUFFERED :=

LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
THIRD_PARTY := build/third_party/.copied
# npm writes it at the end of an installation.
CLIENTS := tests/clients/node_modules/.package-lock.json
CHECKS := check-format check-lint check-types check-imports check-protos check-breaking check-generated

.PHONY: help
help: ## List what make can do.
	@echo 'usage: make TARGET'
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- the environment ---------------------------------------------------------------------------------------------------

$(VENV)/bin/python:
	@for candidate in $(PYTHON); do
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
			if ! "$$candidate" -c 'import ensurepip, venv' 2> /dev/null; then
				echo "make: $$candidate has no venv module: apt-get install python3-venv" >&2
				exit 1
			fi
			echo "making $(VENV) with $$candidate"
			"$$candidate" -m venv "$(VENV)"
			exit
		fi
	done
	echo 'make: none of "$(PYTHON)" is Python 3.11 or newer: apt-get install python3 python3-venv, or make PYTHON=...' >&2
	exit 1

$(LOCKED): requirements.lock | $(VENV)/bin/python
	@echo 'installing what requirements.lock pins'
	"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

# The project itself, editable. Its build backend is in the lock too, so nothing arrives without a hash.
$(READY): pyproject.toml $(LOCKED)
	@"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: env
env: $(READY) ## Make .venv, or bring it up to date with the lock.

$(CLIENTS): tests/clients/package.json tests/clients/package-lock.json tests/clients/.npmrc
	@echo 'installing what tests/clients/package-lock.json pins'
	cd tests/clients
	npm ci --loglevel=error
	touch node_modules/.package-lock.json

.PHONY: clients
clients: $(CLIENTS) ## Install the JavaScript clients that tests use (needs node 18 or newer, and npm).

.PHONY: lock
lock: ## Resolve pyproject.toml again and rewrite requirements.lock (ARGS="--upgrade" for newer versions).
lock: | $(VENV)/bin/python
	@# The resolver has an environment of its own: it is no dependency, so it belongs in no lock.
	if [ ! -x build/resolver/bin/uv ]; then
		"$(VENV)/bin/python" -m venv build/resolver
		build/resolver/bin/python -m pip install --quiet --disable-pip-version-check uv
	fi
	build/resolver/bin/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock $(ARGS)

# --- running -----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(READY) ## Start the boutique through the mesh, call it, keep it running (ONCE=1: only call it).
	@python examples/boutique/demo.py

.PHONY: test
# Where there is no npm, the tests that need it are skipped, and say so; in CI they fail.
test: $(READY) $(THIRD_PARTY) $(if $(shell command -v npm),$(CLIENTS)) ## Run every test (ARGS="-k breaker" for some).
	@python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# The pure parts: there is no excuse for a branch that no test takes. (pytest-cov would import yaml's C classes twice.)
PURE := mesh/contract.py,mesh/engine.py,mesh/mechanism/*,mesh/policy/*

.PHONY: coverage
coverage: $(READY) ## Run the tests of the pure parts; fail if a branch of them is not taken.
	@trap 'rm -f build/coverage' EXIT
	mkdir -p build
	export COVERAGE_FILE=build/coverage
	coverage run --branch --include='$(PURE)' -m pytest -p no:cacheprovider \
		tests/engine tests/mechanism tests/policy tests/chain tests/stage tests/config
	coverage report --include='$(PURE)' --skip-covered --show-missing --fail-under=100

.PHONY: bench
bench: $(READY) ## Measure the mesh and the gateway beside what they are compared with.
	@python -m bench $(ARGS)

# --- generated files ---------------------------------------------------------------------------------------------------

# google/api, google/rpc and google/type as buf's local module, so that lint and breaking work offline.
$(THIRD_PARTY): $(LOCKED)
	@rm -rf build/third_party
	mkdir -p build/third_party/google
	wheel=$$(python -c 'import google.api; print(*google.api.__path__)')/..
	cd "$$wheel"
	find api rpc type -name '*.proto' -exec cp --parents -t "$(CURDIR)/build/third_party/google" {} +
	cd "$(CURDIR)"
	touch $@

.PHONY: third-party
third-party: $(THIRD_PARTY) ## Copy the googleapis protos from their wheel into build/third_party.

.PHONY: generate
generate: $(READY) $(THIRD_PARTY) ## Write the code of mesh/v1 and gateway/v1 again, and the generated docs.
	@buf generate
	python docs/generate.py docs

.PHONY: docs
docs: $(READY) ## Write the generated docs again.
	@python docs/generate.py docs

.PHONY: base
base: $(READY) $(THIRD_PARTY) ## Accept the protos as they are now as what `buf breaking` compares with (at a release).
	@buf build protos --exclude-source-info --output protos/base.binpb

.PHONY: format
format: $(READY) ## Format the code, and fix what the linter can.
	@ruff check --fix --quiet || true
	ruff format

# --- checks ------------------------------------------------------------------------------------------------------------

.PHONY: check $(CHECKS)
check: $(CHECKS) ## Everything that is checked without running tests (make -k check: all of it, whatever fails).

check-format: $(READY)
	ruff format --check

check-lint: $(READY)
	ruff check

check-types: $(READY)
	mypy

check-imports: $(READY)
	@# A module that appeared since the cache was written would stay unseen.
	lint-imports --no-cache --no-logo

check-protos: $(READY) $(THIRD_PARTY)
	buf lint

check-breaking: $(READY) $(THIRD_PARTY)
	buf breaking protos --against protos/base.binpb --exclude-imports

# Generated again beside the tree and compared, so it needs no clean checkout, and a file too many is found as well.
check-generated: $(READY) $(THIRD_PARTY)
	@echo 'comparing generated files'
	rm -rf build/fresh
	mkdir -p build/fresh/docs
	buf generate --output build/fresh
	python docs/generate.py build/fresh/docs
	stale=0
	for folder in mesh/v1 gateway/v1; do
		diff -ru --exclude=__init__.py --exclude=__pycache__ $$folder build/fresh/$$folder || stale=1
	done
	for file in build/fresh/docs/*; do
		diff -u docs/$${file##*/} $$file || stale=1
	done
	if [ $$stale = 1 ]; then
		echo 'make: generated files are stale: run make generate and commit what it changes' >&2
		exit 1
	fi

.PHONY: clean
clean: ## Remove everything make made, .venv included.
	@rm -rf .venv .mesh build dist tests/clients/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
