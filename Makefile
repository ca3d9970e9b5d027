# Every target sets up what it needs: an empty clone and an empty virtual environment are enough.
# The environment in use is taken (VIRTUAL_ENV); without one, .venv is made.

PYTHON ?= python3
VENV := $(if $(VIRTUAL_ENV),$(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
CLI_READY := $(VENV)/.outrider-cli
DEV_READY := $(VENV)/.outrider-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off
# What pytest-timeout cannot end (a fixture, uvloop, an example of hypothesis that is tried again) ends the run after
# so many seconds, with every stack. Without -q each file is named: a run that is ended from outside says where it was.
STUCK := --durations=10 -o faulthandler_exit_on_timeout=true -o faulthandler_timeout

DATA ?= $(OUTRIDER_GUARD_DATA)

.PHONY: demo test check bench eval named-data e2e fuzz lock clean help

help:  ## list the targets
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(CLI_READY)  ## the whole idea on this machine: a real MCP server, sidecars, real clients
	@$(BIN)/python -m cli.main demo

test: $(DEV_READY)  ## the test suite
	$(BIN)/python -m pytest $(STUCK)=400

check: $(DEV_READY)  ## lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(BIN):$$PATH" $(BIN)/lint-imports

bench: $(DEV_READY)  ## measure against other proxies, side by side
	$(BIN)/python -m bench

eval: named-data $(CLI_READY)  ## how well guardrails find things: OUTRIDER_GUARD_DATA names the folder of labelled texts
	@$(BIN)/python -m cli.main guard eval "$(DATA)"

named-data:
	@test -n "$(DATA)" || { echo "no data: set OUTRIDER_GUARD_DATA to the folder of the labelled .jsonl files" \
	  "(or: make eval DATA=folder); docs/guardrails-figures.md says what is in it" >&2; exit 2; }

e2e: $(DEV_READY)  ## real SDKs, servers and the MCP conformance suite
	$(BIN)/python -m pytest e2e $(STUCK)=3600

fuzz: $(DEV_READY)  ## the fuzz targets, longer than in the suite and at random
	OUTRIDER_FUZZ=20 $(BIN)/python -m pytest -q --timeout 0 tests/fuzz

lock:  ## pin every dependency again (needs uv)
	for set in sidecar: sidecar-spire:spire,shared-rates webhook:webhook cli:cli dev:dev; do \
	  extras=$$(echo "$${set#*:}" | sed -E 's/([a-z-]+),?/ --extra \1/g'); \
	  uv pip compile -q pyproject.toml $$extras --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header -o requirements/$${set%%:*}.lock; \
	done

clean:  ## remove what the targets made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

$(BIN)/python:
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# A lock holds hashes of everything; the project itself is then added without looking at dependencies again.
$(CLI_READY): requirements/cli.lock pyproject.toml | $(BIN)/python
	@echo "installing what the demo needs (once, about a minute)"
	@$(PIP) --require-hashes -r requirements/cli.lock
	@$(PIP) --no-deps --editable .
	@touch $@

$(DEV_READY): requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "installing what the tests need (once, about a minute)"
	@$(PIP) --require-hashes -r requirements/dev.lock
	@$(PIP) --no-deps --editable .
	@touch $@ $(CLI_READY)
