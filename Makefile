# Every target works on a fresh machine with Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup setup-dev up down test lint bench chaos gallery

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Bitfront needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is incomplete: install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Bitfront into $(VENV) (some minutes, once)…"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

up: setup
	@exec $(BIN)/bitfront up $(ARGS)

down:
	@if [ -x $(BIN)/bitfront ]; then $(BIN)/bitfront down; fi

# Two processes, a file of tests each, in the order of tests/conftest.py: most tests keep one core busy.
test: setup-dev
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup
	@exec $(BIN)/bitfront bench $(ARGS)

# The tests that kill, restart and starve the parts of a running Bitfront; long, with the table of victims.
chaos: setup-dev
	@BITFRONT_CHAOS=long exec $(BIN)/python -m pytest -m chaos -s $(ARGS)

# The README's pictures, of real runs in a home of their own (minutes; needs Chromium).
gallery: setup-dev
	@exec $(BIN)/python -m tests.browser.gallery
