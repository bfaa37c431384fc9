# make drill   a region failover on this machine: installs, brings the lab up, runs the drill
# make test    everything that checks drill
# make help    the rest

.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# The newest Python that will do; say PYTHON=… for another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help
help: ## this text
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "drill needs Python 3.11 or newer; none was found (say PYTHON=/path/to/python3.11)" >&2; exit 1; fi
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.lab: pyproject.toml | $(BIN)/python
	@echo "installing drill and its lab into $(VENV)/ (once)"
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing drill and what its tests need into $(VENV)/ (once)"
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.lab

.PHONY: drill
drill: $(VENV)/.lab ## a region failover on this machine
	@$(BIN)/drill run drills/region-failover.yaml

.PHONY: dev
dev: $(VENV)/.dev ## a virtual environment to work in

.PHONY: lint
lint: $(VENV)/.dev ## style, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: $(VENV)/.dev ## every test, with real servers on loopback
	$(BIN)/python -m pytest -n 2 --dist loadscope

.PHONY: quick
quick: $(VENV)/.dev ## the tests that start no lab
	$(BIN)/python -m pytest -m "not lab and not drills"

.PHONY: bench
bench: $(VENV)/.dev ## how accurate and how fast, beside peers; QUICK=1 only tries it
	@$(BIN)/python -m bench.run $(if $(QUICK),--quick) $(ONLY)

.PHONY: torture
torture: $(VENV)/.dev ## kill drills in every way, and see that nothing stays broken (half an hour); SEED=… for the same again
	@$(BIN)/python -m tests.torture $(if $(SEED),--seed $(SEED))

.PHONY: fuzz
fuzz: $(VENV)/.dev ## 500 mutants of every shipped file, and 20,000 of a journal (ten minutes)
	DRILL_MUTANTS=500 nice $(BIN)/python -m pytest -q tests/fuzz

.PHONY: mutants
mutants: $(VENV)/.dev ## plant bugs in measuring and judging, and see that a test finds each (an hour or two)
	nice $(BIN)/mutmut run
	$(BIN)/mutmut results

.PHONY: pictures
pictures: $(VENV)/.dev ## the pictures of docs/measurement.md
	$(BIN)/python docs/pictures.py

.PHONY: sample
sample: $(VENV)/.dev ## a new sample report from a real run
	$(BIN)/python -m tests.make_sample

.PHONY: clean
clean: ## remove what make made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
