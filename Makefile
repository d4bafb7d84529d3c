# Needs Python 3.11 to 3.13 and make, nothing else: the Java runtime and Kafka come from wheels and
# Maven artifacts. `make PYTHON=/path/to/python3.12 .venv` picks another interpreter.

.DEFAULT_GOAL := help
BIN := .venv/bin

# The first interpreter in the list that is new enough and can make a virtual environment.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && { echo "$$python"; break; }; done)

.PHONY: help
help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z.]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Rebuilt when the project's metadata or the lock changed, and only then.
.venv: .venv/.synced  ## Build the environment; everything is then at .venv/bin/tenure

.venv/.synced: pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "Tenure needs Python 3.11, 3.12 or 3.13 with the venv module:" \
	"install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," \
	"or name it: make PYTHON=/path/to/python3.12 $(or $(MAKECMDGOALS),.venv)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --compile-bytecode --all-extras
	touch $@

.PHONY: demo
demo: .venv/.synced  ## Replay a year of purchases on a real Kafka, and report
	$(BIN)/tenure demo $(ARGS)

.PHONY: test
test: .venv/.synced  ## Run the tests (ARGS="-k name" for some of them)
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: .venv/.synced  ## Check style, formatting and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: types
types: .venv/.synced  ## Check the types
	$(BIN)/mypy

.PHONY: generated
generated: .venv/.synced  ## Write dashboards, schemas, docs/metrics.md and docs/reference.md anew
	$(BIN)/python -m deploy.grafana.generate
	$(BIN)/python -m deploy.metrics_page
	$(BIN)/python -m deploy.reference_page
	$(BIN)/python -m shared.schemas

.PHONY: bench
bench: .venv/.synced  ## Measure the scorer beside plain Faust and no broker at all
	$(BIN)/tenure bench scorer $(ARGS)

.PHONY: ci
ci:  ## Do all that CI does
	.ci/run

.PHONY: clean
clean:  ## Remove what these targets made
	rm -rf .venv build dist htmlcov demo-report test-artefacts .coverage
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +
