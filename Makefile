# Everything is installed inside this checkout (.venv) and in the user's cache (Kafka's jars, Superset's own venv).
.DEFAULT_GOAL := help
PYTHON ?= python3.11
TEST_PROCESSES ?= 5
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HOSTS := $(VENV)/.installed-hosts
RIVER := $(VENV)/.installed-river
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

.PHONY: help setup demo test test-long check bench bench-boards bench-credit bench-emit bench-store bench-watch faults soak week clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | while IFS=$$'\t' read -r verb text; do printf '  make %-12s %s\n' "$$verb" "$$text"; done

$(STAMP): pyproject.toml constraints.txt
	@started=$$SECONDS; \
	command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; tokenmeter needs Python 3.11 (or run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS))" >&2; exit 1; }; \
	echo "setup: Python packages into $(VENV) ..."; \
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	touch $@; \
	echo "setup: Python packages ready after $$((SECONDS - started)) s"

# LiteLLM is larger than all the rest of the SDK's needs together: only its own tests want it.
$(HOSTS): $(STAMP)
	@echo "test: LiteLLM into $(VENV) ..."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,litellm]'; \
	touch $@

$(RIVER): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'; \
	touch $@

setup: $(STAMP) ## install everything (Python packages, Kafka, Superset); quick when already done
	@$(BIN)/python -m tokenmeter.stack.provision

demo: setup ## run everything and prove the figures; ARGS=--once stops afterwards, ARGS="--trace FILE" replays a trace
	@$(BIN)/tokenmeter demo $(ARGS)

test: setup check $(HOSTS) ## formatting, types and every test but the long ones
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: setup ## what takes minutes each: second ways to break what `make test` breaks, backlogs, many partitions
	@$(BIN)/python -m pytest -m long -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(STAMP) ## formatting, lint and types only
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

bench: setup ## measure the meter beside a plain loop (6 M events; ARGS="--events N" for fewer) into build/bench.json
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

bench-boards: setup ## what each chart costs over 18 months (100 M lines, 20 M calls; ARGS="--lines N --calls N" for fewer)
	@PYTHONPATH=tests $(BIN)/python -m bench.boards $(ARGS)

bench-credit: setup ## what a runaway customer spends beyond its credit: time, calls, money (ARGS="--load N" for others beside it)
	@PYTHONPATH=tests $(BIN)/python -m bench.credit $(ARGS)

bench-emit: setup ## what a metered call adds to the caller (ARGS="--calls N --pause-us N"), and what the gateway takes on one core
	@PYTHONPATH=tests $(BIN)/python -m bench.integrations $(ARGS)
	@PYTHONPATH=tests $(BIN)/python -m bench.gateway

bench-store: setup ## measure the store: 40 M market lines and 20 M raw events (ARGS="--lines N --events N" for fewer)
	@PYTHONPATH=tests $(BIN)/python -m bench.store $(ARGS)

bench-watch: $(RIVER) ## what the watch finds, misses and cries wolf about (ARGS="--only labelled,cost,clean,injected --keys N")
	@PYTHONPATH=tests $(BIN)/python -m bench.watch $(ARGS)

clients: setup ## real clients of Node, Java and Go against the embedded server (ARGS="--checkout DIR": clickhouse-connect's suite)
	@PYTHONPATH=tests $(BIN)/python -m clients $(ARGS)

faults: setup ## break everything on purpose, 20 times each, and count (ARGS="--times 2 --seed 7" for less)
	@PYTHONPATH=tests $(BIN)/python -m faults $(ARGS)

soak: setup ## a day of traffic in four minutes: nothing may grow (ARGS=--leak: the control)
	@PYTHONPATH=tests $(BIN)/python -m soak $(ARGS)

week: setup ## a week of bad days on a real stack, twenty minutes on two cores (ARGS="--actions 8 --seed 3" for less, --plan to read it)
	@PYTHONPATH=tests $(BIN)/python -m week $(ARGS)

clean: ## stop the local stack and remove what was built here (never metered data: that is .tokenmeter, to be removed by hand)
	@[ ! -x $(BIN)/tokenmeter ] || $(BIN)/tokenmeter down || true
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
