# The entry point; plain `make` lists the targets.

NEWEST := 3.3
AIRFLOW ?= $(NEWEST)

# It installs the pinned packages, so it is pinned itself.
UV := 0.13.9

# One environment for each Airflow version, and for each Python that is requested.
VENV := .venv$(if $(filter-out $(NEWEST),$(AIRFLOW)),-$(AIRFLOW))$(if $(PYTHON),-python$(patsubst python%,%,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Another Celery, if this Airflow needs it.
CELERY := $(wildcard constraints/distributed-$(AIRFLOW).txt)
# Zoho's SDK and the sandbox, without Airflow.
PEER := .venv-peer

# Two workers, each with its own sandbox and Airflow home.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

# Each target has its own Airflow home. Yours is never touched.
export AIRFLOW_HOME = $(CURDIR)/.airflow/$(@F)-$(AIRFLOW)
export AIRFLOW__CORE__LOAD_EXAMPLES = False

# Airflow takes twice as long to start if it is compiled every time.
unexport PYTHONDONTWRITEBYTECODE

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: help demo ui test test-airflow coverage test-unit test-system test-distributed test-peer fault-run bench docs lint types format environment constraints build clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1:\2/p' $(MAKEFILE_LIST) | awk -F: '{printf "  make %-16s %s\n", $$1, $$2}'
	@echo
	@echo "  AIRFLOW=2.11 (or 3.0, 3.1, 3.2) selects an Airflow other than $(NEWEST), PYTHON=3.10 another Python."

demo: $(READY) ## run the example DAGs against a local Bigin and show the mails
	@$(BIN)/python scripts/demo.py

ui: $(READY) ## run Airflow in the browser, with a local Bigin and the example DAGs or yours (DAGS=folder)
	@$(BIN)/python scripts/ui.py

test: lint types docs test-airflow ## run lint, types, the docs, and all tests

test-airflow: $(READY) ## run all tests on one Airflow version (AIRFLOW=2.11)
	$(PYTEST)

coverage: $(READY) ## run all tests and report their coverage (slow)
	$(PYTEST) --cov --cov-report=term

test-unit: $(READY) ## run only the unit and sandbox tests (AIRFLOW=3.0 PYTHON=3.10)
	$(PYTEST) tests/unit tests/sandbox

test-system: $(READY) ## run the tests that need a running scheduler and triggerer
	$(BIN)/python -m pytest tests/system

test-distributed: $(VENV)/.distributed ## run the tests that need Celery and several hosts (13 minutes)
	$(BIN)/python -m tests.distributed

test-peer: $(PEER)/.ready ## run Zoho's own SDK against the sandbox
	$(PEER)/bin/python -m pytest --confcutdir tests/peer tests/peer

fault-run: $(READY) ## test all schedules of two faults, and 500 random ones per scenario (15 minutes)
	$(BIN)/python -m tests.faults.exhaustive
	$(BIN)/python -m tests.faults.run

bench: $(READY) ## run the benchmarks against other providers
	@$(BIN)/python -m benchmarks

docs: $(READY) ## build the docs into docs/_build; a dead link is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --jobs 2 docs docs/_build

lint: $(READY) ## run ruff and bandit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive airflow_provider_bigin

types: $(READY) ## run mypy
	$(BIN)/mypy

format: $(READY) ## let ruff fix and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

build: $(READY) ## build the wheel and sdist into dist/
	$(BIN)/python -m hatchling build

environment: $(READY) ## create only the environment, in .venv or .venv-2.11

# The pins list every package, so there is nothing left to resolve; the check fails if one is missing.
$(READY): pyproject.toml constraints/airflow-$(AIRFLOW).txt | $(BIN)/uv
	@echo "Installing Airflow $(AIRFLOW) and the tools into $(VENV)"
	@echo "-e ." | $(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python constraints/airflow-$(AIRFLOW).txt -
	@$(BIN)/uv pip check --quiet --python $(BIN)/python
	@touch $@

$(VENV)/.distributed: constraints/distributed.txt $(CELERY) $(READY)
	@echo "Installing Celery and its clients into $(VENV)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --requirement $< \
		$(addprefix --overrides ,$(CELERY))
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

constraints: $(READY) ## update the pins of all Airflow versions and of test-peer
	@for line in constraints/airflow-*.in; do \
		echo "$$line"; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --all-extras \
			--no-annotate --no-header --output-file "$${line%.in}.txt" pyproject.toml "$$line" || exit 1; \
	done
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-annotate --no-header \
		--constraints constraints/airflow-$(NEWEST).txt --output-file constraints/peer.txt constraints/peer.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-annotate --no-header \
		--constraints constraints/airflow-$(NEWEST).txt constraints/airflow-$(NEWEST).in constraints/distributed.in \
		| grep --invert-match --line-regexp --fixed-strings --file=constraints/airflow-$(NEWEST).txt > constraints/distributed.txt

clean: ## remove the environments and all generated files
	rm -rf .venv .venv-* .airflow dist docs/_build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
