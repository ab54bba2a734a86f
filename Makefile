# Everything starts here. `make help` lists what there is.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
# Big libraries are compiled once, not at each start of each process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up test lint style types borders bench soak browser

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

up: .venv/.installed ## start everything; ARGS=--exit-when-ready starts, shows the figures and stops
	@setpriv --pdeathsig TERM -- $(BIN)/santral up $(ARGS)

test: .venv/.installed lint browser ## lint, types, import rules and all tests; ARGS goes to pytest
	@$(BIN)/pytest -n 3 $(ARGS)

lint: .venv/.installed ## style, types and who may import whom
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types style borders

types:
	@$(BIN)/mypy

style:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/sqlfluff lint --quiet --nocolor dbt_project/models

borders:
	@$(BIN)/lint-imports --no-cache --no-logo

bench: .venv/.installed ## measure against the database's own speed: one line per figure
	@$(BIN)/python -m bench $(ARGS)

soak: .venv/.installed ## the long runs: rules with ten thousand examples, kills, journeys, marts, the table of pacing
	@$(BIN)/pytest -n 2 -m "not browser" --hypothesis-profile=soak tests/crm tests/kill tests/journeys tests/dbt_project/test_following.py $(ARGS)
	@BENCH_WORKERS=2 $(BIN)/python -m bench.pacing

.venv/.installed: uv.lock pyproject.toml bootstrap.py
	@command -v $(PYTHON) >/dev/null || { echo "santral: there is no $(PYTHON): apt-get install python3" >&2; exit 1; }
	@$(PYTHON) bootstrap.py

browser:
	@command -v chromium >/dev/null || sh -c '\
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing Chromium for the tests of screens" && \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null' || \
	  echo "there is no Chromium: tests of screens are skipped (Debian: apt-get install chromium)"
