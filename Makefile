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

# Node.js builds the front end: the machine's own, or the one that is then in .venv.
NPM = cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm
FRONTEND := $(shell find frontend -name node_modules -prune -o -print)

# Where this is set, Python compiles every module anew at every start, and pytest every test in every process: a third more work.
export PYTHONDONTWRITEBYTECODE :=

# Tests run side by side; a quarter of their time they wait for servers, so two cores have work for three.
WORKERS ?= 3

# `make serve PORT=9000`; any setting can be given as FOOTFALL_NAME in the environment.
ifdef PORT
export FOOTFALL_PORT := $(PORT)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve dev test check format soak bench image stack-test monitoring-test cloud-check cloud-test package lint-deploy pipeline-test lock clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

serve: .venv/.run .venv/.frontend ## start the server: http://127.0.0.1:8000, or PORT=
	@exec $(BIN)/footfall serve

dev: .venv/.run .venv/.frontend ## the same, restarting when the code changes
	@exec $(BIN)/footfall serve --reload

test: .venv/.test .venv/.frontend ## run the tests; ARGS= goes to pytest
	@tests/system-packages.sh
	$(PYTEST) -n $(WORKERS) --dist loadfile $(ARGS)

check: .venv/.check .venv/.frontend ## lint, format, types, import floors, docs against code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@$(NPM) run --silent check
	$(PYTEST) -q tests/unit/test_floors.py tests/docs --ignore tests/docs/test_readme.py --ignore tests/docs/test_pages.py

format: .venv/.check .venv/.frontend ## bring the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	@$(NPM) run --silent format

soak: .venv/.test .venv/.frontend ## run the long tests: faults, floods, hours in minutes
	@tests/system-packages.sh
	$(PYTEST) -m soak --timeout 1800 $(ARGS)

bench: .venv/.test .venv/.frontend ## measure; ARGS= goes to the benchmarks
	@tests/system-packages.sh redis-server wrk
	$(BIN)/python -m benchmarks $(ARGS)

image: ## build the container image, without Docker, as root
	@deploy/stack/build.sh $(ARGS)

stack-test: .venv/.test ## build the image, and test it and compose.yaml, as root; ARGS= goes to pytest
	@deploy/stack/build.sh
	$(PYTEST) --timeout 900 --log-cli-level INFO $(ARGS) tests/stack

monitoring-test: .venv/.test ## test alerts and dashboard with a real Prometheus; ARGS= goes to pytest
	@tests/system-packages.sh prometheus prometheus-alertmanager
	$(PYTEST) -m "not soak" $(ARGS) tests/monitoring

cloud-check: .venv-cloud/.installed .venv-scan/.installed ## lint and scan the CloudFormation templates
	.venv-cloud/bin/cfn-lint -- deploy/aws/*.yaml
	@.venv-scan/bin/checkov --skip-download --quiet --compact --framework cloudformation --directory deploy/aws

cloud-test: .venv-cloud/.installed .venv/.run ## create the stacks and deploy to them, on emulators; ARGS= goes to pytest
	@tests/system-packages.sh skopeo
	.venv-cloud/bin/python -m pytest $(ARGS) tests/cloud

package: .venv/.run .venv/.frontend ## build the package into dist/, and try it in an environment of its own
	@rm -rf dist
	$(BIN)/hatchling build
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(BIN)/python -m venv "$$scratch" \
		&& "$$scratch/bin/python" -m pip --quiet --quiet --disable-pip-version-check --no-input install --only-binary :all: --require-hashes \
			-r requirements/run.txt \
		&& "$$scratch/bin/python" -m pip --quiet --quiet --disable-pip-version-check --no-input install --no-deps --no-index dist/*.whl \
		&& cd "$$scratch" && env -u PYTHONPATH FOOTFALL_STORE=memory:// FOOTFALL_SITES=example.com bin/footfall check

lint-deploy: .venv-deploy/.installed cloud-check ## lint and scan what deploys: workflows, Dockerfile, shell scripts, templates
	.venv-deploy/bin/actionlint -shellcheck .venv-deploy/bin/shellcheck
	.venv-deploy/bin/zizmor --quiet --offline --pedantic .
	.venv-deploy/bin/hadolint deploy/Dockerfile
	@git ls-files --cached --others --exclude-standard | xargs grep -slE '^#! ?/(usr/)?bin/(env )?(ba)?sh' -- \
		| xargs .venv-deploy/bin/shellcheck --external-sources --

pipeline-test: .venv/.test .venv-deploy/.installed ## run the steps of the workflows on this machine, by act; ARGS= goes to pytest
	$(PYTEST) $(ARGS) tests/pipeline

lock: ## pin what pyproject.toml asks for; UPGRADE=1 takes the newest of everything
	@PYTHON="$(PYTHON)" requirements/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what these tasks have made
	rm -rf .venv .venv-cloud .venv-scan .venv-deploy .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	rm -rf frontend/node_modules src/footfall/web/static/built src/footfall/web/static/built.new
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

.venv/.test: requirements/test.txt requirements/oldest.txt .venv/.run
	@echo "Installing what the tests need into .venv"
	@$(INSTALL) -r $<
	@$(INSTALL) --no-deps --upgrade --target .venv/oldest --python-version 3.11 -r requirements/oldest.txt
	@touch $@

.venv/.check: requirements/check.txt .venv/.test
	@echo "Installing the linter and the type checker into .venv"
	@$(INSTALL) -r $<
	@touch $@

.venv/.frontend: $(FRONTEND) requirements/node.txt | $(BIN)/pip
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || { \
		echo "Installing Node.js into .venv, for want of one of the machine's own"; $(INSTALL) -r requirements/node.txt; }
	@echo "Building the front end (only when it has changed)"
	@$(NPM) ci --ignore-scripts --silent
	@$(NPM) run --silent build
	@touch $@

# What the cloud's templates are checked and tried with does not fit into one environment, with Footfall or with each other.
.venv-cloud/.installed .venv-scan/.installed .venv-deploy/.installed: .venv-%/.installed: requirements/%.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "No $(PYTHON) here: install Python 3.11 or later, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python"; exit 1; }
	@echo "Installing what is in $< into $(@D)"
	@"$(PYTHON)" -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input install --only-binary :all: --require-hashes -r $<
	@touch $@
