# Everything here works on a fresh machine that has Python 3.11 or newer and make.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
PORT ?= 8000

.PHONY: run load serve setup test slow check conformance lint types imports docs kill-test wheel-test bench clean

run: load serve            ## set up, load the reference territory, serve it on http://localhost:8000

load: setup                ## read, map, validate and publish all datasets; does nothing twice
	$(BIN)/cityorchestra run --all

serve: setup
	$(BIN)/cityorchestra serve --port $(PORT)

setup: .venv/.ready        ## a virtual environment with the command `cityorchestra`

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

test: setup                ## all tests of every day; the long ones are `make slow`, the official suites `make conformance`
	$(BIN)/pytest -q -n 2 -m "not slow" --ignore tests/conformance

slow: setup                ## tests that take long: lineage of a thousand triples, a thousand random changes
	$(BIN)/pytest -q -n 2 -m slow

check: setup lint types imports docs ## what must hold before a commit, tests aside

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

docs:
	$(BIN)/python tools/check_docs.py

conformance: setup         ## the official suites, counted in reports/conformance.json
	$(BIN)/pytest -q -n 2 tests/conformance

kill-test: setup           ## 50 random kill -9 during `cityorchestra run`
	$(BIN)/python tools/kill_test.py --kills 50 \
	  --prepare "env CITYORCHESTRA_STATE={state} $(BIN)/cityorchestra run insee/regions insee/departements insee/communes" \
	  "env CITYORCHESTRA_STATE={state} $(BIN)/cityorchestra run star/arrets star/lignes star/info-trafic sailcoop/gtfs"

wheel-test: setup          ## the wheel alone, in an empty environment, from another folder
	tools/wheel_test.sh

clean:
	rm -rf .venv var dist reports
