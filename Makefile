# The front door; `make` says what there is.

NEWEST := 3.3
AIRFLOW ?= $(NEWEST)

# Installs the pinned packages, so it is pinned itself.
UV := 0.13.9

# One environment for each line of Airflow, and for each Python that is asked for.
VENV := .venv$(if $(filter-out $(NEWEST),$(AIRFLOW)),-$(AIRFLOW))$(if $(PYTHON),-python$(patsubst python%,%,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Zoho's SDK and the sandbox, without Airflow.
PEER := .venv-peer

# Two workers, each with a sandbox and an Airflow home of its own.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

# Each target has an Airflow home of its own. Yours is never touched.
export AIRFLOW_HOME = $(CURDIR)/.airflow/$(@F)-$(AIRFLOW)
export AIRFLOW__CORE__LOAD_EXAMPLES = False

# Airflow starts twice as slowly if every start compiles it.
unexport PYTHONDONTWRITEBYTECODE

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: help demo ui test test-airflow coverage test-unit test-system test-peer fault-run bench docs lint types format environment constraints build clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1:\2/p' $(MAKEFILE_LIST) | awk -F: '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo
	@echo "  AIRFLOW=2.11 (or 3.0, 3.1, 3.2) takes another Airflow than $(NEWEST), PYTHON=3.10 another Python."

demo: $(READY) ## run the example DAGs against a local Bigin and show the mails
	@$(BIN)/python scripts/demo.py

ui: $(READY) ## Airflow in the browser, with a local Bigin and the example DAGs, or yours (DAGS=folder)
	@$(BIN)/python scripts/ui.py

test: lint types docs test-airflow ## lint, types, the site, and all tests

test-airflow: $(READY) ## all tests on one line of Airflow (AIRFLOW=2.11)
	$(PYTEST)

coverage: $(READY) ## all tests, and what of the package they run (slow)
	$(PYTEST) --cov --cov-report=term

test-unit: $(READY) ## unit and sandbox tests alone (AIRFLOW=3.0 PYTHON=3.10)
	$(PYTEST) tests/unit tests/sandbox

test-system: $(READY) ## tests that need a running scheduler and triggerer
	$(BIN)/python -m pytest tests/system

test-peer: $(PEER)/.ready ## Zoho's own SDK as a client of the sandbox
	$(PEER)/bin/python -m pytest --confcutdir tests/peer tests/peer

fault-run: $(READY) ## all schedules of two faults, and 500 random ones in each circumstance (a quarter of an hour)
	$(BIN)/python -m tests.faults.exhaustive
	$(BIN)/python -m tests.faults.run

bench: $(READY) ## benchmarks, side by side with other providers
	@$(BIN)/python -m benchmarks

docs: $(READY) ## the site, into docs/_build; a dead link is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --jobs 2 docs docs/_build

lint: $(READY) ## ruff and bandit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive airflow_provider_bigin

types: $(READY) ## mypy
	$(BIN)/mypy

format: $(READY) ## let ruff rewrite what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

build: $(READY) ## wheel and sdist, into dist/
	$(BIN)/python -m hatchling build

environment: $(READY) ## only the environment, in .venv or .venv-2.11

# The pins name every package, so nothing is left to resolve; the check says if one is missing.
$(READY): pyproject.toml constraints/airflow-$(AIRFLOW).txt | $(BIN)/uv
	@echo "Installing Airflow $(AIRFLOW) and the tools into $(VENV)"
	@echo "-e ." | $(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python constraints/airflow-$(AIRFLOW).txt -
	@$(BIN)/uv pip check --quiet --python $(BIN)/python
	@touch $@

$(BIN)/uv:
	@python=$$(scripts/find_python.sh $(AIRFLOW)) && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)

$(PEER)/.ready: constraints/peer.txt | $(BIN)/uv
	@echo "Installing Zoho's SDK and the sandbox into $(PEER)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEER)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(PEER)/bin/python $<
	@touch $@

constraints: $(READY) ## resolve the pins of every line of Airflow, and those of test-peer, again
	@for line in constraints/airflow-*.in; do \
		echo "$$line"; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --all-extras \
			--no-annotate --no-header --output-file "$${line%.in}.txt" pyproject.toml "$$line" || exit 1; \
	done
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-annotate --no-header \
		--constraints constraints/airflow-$(NEWEST).txt --output-file constraints/peer.txt constraints/peer.in

clean: ## remove the environments and everything that was made
	rm -rf .venv .venv-* .airflow dist docs/_build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
