# Every target makes the virtual environment it needs; Python 3.11 or later is all that must be there.
# PYTHON=python3.12 picks another interpreter, VENV=folder another place, TESTS="-k name" some of the tests.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
TESTS ?=
export HF_HUB_OFFLINE ?= 1

.PHONY: help demo test test-slow lint bench docs

help:
	@echo 'make demo       find the best recipe for a small retrieval set, offline (about 3 minutes after installing)'
	@echo 'make test       all fast tests'
	@echo 'make test-slow  the slow ones too'
	@echo 'make lint       style, types and floors'
	@echo 'make bench      speed and memory against peers'
	@echo 'make docs       the documentation, in site/'

demo: $(VENV)/.demo
	$(BIN)/plait find demo:scifact --out runs/demo

# One arithmetic thread a worker: two workers on two cores are faster than two threads each, and give the same bytes.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' $(TESTS)

test-slow: $(VENV)/.dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/plait bench

docs: $(VENV)/.dev
	$(BIN)/python scripts/reference.py
	$(BIN)/mkdocs build --strict

$(BIN)/python:
	@[ -n '$(PYTHON)' ] || { echo 'plait needs Python 3.11 or later; none was found. Set PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments (no ensurepip).' >&2; \
		echo 'On Debian or Ubuntu: apt install python3-venv; or set PYTHON= to another Python 3.11 or later.' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp says which extras are in and is older than pyproject.toml when that has changed.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.demo
