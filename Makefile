# Every task of this repository by name; `make` alone lists them. CI calls the same names.
#
# Nothing is installed outside .venv but by `make test`, `soak` and `bench`, which as root install the programs they start
# (tests/system-packages.sh). What pip installs is pinned with hashes in requirements/*.txt.

PYTHON ?= python3
BIN := .venv/bin
# Wheels only: building a package would bring in what no lock names.
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
INSTALL := $(PIP) install --only-binary :all: --require-hashes
PYTEST := $(BIN)/python -m pytest

# Tests run side by side; most of them wait for servers, so two on each core would do too.
WORKERS ?= 2

# `make serve PORT=9000`; any setting can be given as FOOTFALL_NAME in the environment.
ifdef PORT
export FOOTFALL_PORT := $(PORT)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve dev test check format soak bench lock clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

serve: .venv/.run ## start the server: http://127.0.0.1:8000, or PORT=
	@exec $(BIN)/footfall serve

dev: .venv/.run ## the same, restarting when the code changes
	@exec $(BIN)/footfall serve --reload

test: .venv/.test ## run the tests; ARGS= goes to pytest
	@tests/system-packages.sh
	$(PYTEST) -n $(WORKERS) --dist loadgroup $(ARGS)

check: .venv/.check ## lint, format, types, import floors, docs against code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST) -q tests/unit/test_floors.py tests/docs --ignore tests/docs/test_readme.py --ignore tests/docs/test_pages.py

format: .venv/.check ## bring the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

soak: .venv/.test ## run the long tests: faults, floods, hours in minutes
	@tests/system-packages.sh
	$(PYTEST) -m soak --timeout 1800 $(ARGS)

bench: .venv/.test ## measure; ARGS= goes to the benchmarks
	@tests/system-packages.sh redis-server wrk
	$(BIN)/python -m benchmarks $(ARGS)

lock: ## pin what pyproject.toml asks for; UPGRADE=1 takes the newest of everything
	@PYTHON="$(PYTHON)" requirements/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what these tasks have made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. pip comes last into a new one, so where it stands the environment is whole. A file .venv/.NAME says that
# the lock of that name, as it is now, has been installed.

$(BIN)/pip:
	@command -v "$(PYTHON)" >/dev/null || { echo "No $(PYTHON) here: install Python 3.11 or later, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1); Footfall needs Python 3.11 or later: make $(MAKECMDGOALS) PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -m venv .venv

.venv/.run: requirements/build.txt requirements/run.txt pyproject.toml | $(BIN)/pip
	@echo "Installing what Footfall runs on into .venv (only when it has changed)"
	@$(INSTALL) -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test: requirements/test.txt .venv/.run
	@echo "Installing what the tests need into .venv"
	@$(INSTALL) -r $<
	@touch $@

.venv/.check: requirements/check.txt .venv/.test
	@echo "Installing the linter and the type checker into .venv"
	@$(INSTALL) -r $<
	@touch $@
