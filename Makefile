# Everything here works on a fresh machine that has Python 3.11 or newer and make.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
PORT ?= 8000

.PHONY: run load serve setup frontend browser test sparql-servers slow spark check conformance lint types imports docs kill-test kill-service hostile wheel-test bench bench-serve bench-publishing clean

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

sparql-servers:            ## bring Fuseki and Virtuoso, so that `make slow` holds the store on them to its contract
	tools/sparql_servers.sh

slow: setup                ## tests that take long: lineage of a thousand triples, a thousand random changes
	$(BIN)/pytest -q -n 2 -m slow

spark: setup .venv/.spark   ## add Spark (450 MB, needs Java 17), so that `make slow` holds it to the contract of executors

.venv/.spark: pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,spark]'
	@touch $@

frontend:                  ## bundle the scripts that enrich pages (needs node and npm; without them pages are plain)
	cd frontend && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent types && npm run --silent build

browser: setup frontend    ## walk the pages in chromium, with and without scripts, on a phone, with axe
	tools/browser.sh

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

kill-service: setup        ## 50 random kill -9 of a running service: web, query workers, publishers (a minute)
	$(BIN)/python tools/kill_service.py --kills 50

hostile: setup             ## two minutes of attacks on a service: it must live, answer good clients rightly and keep nothing
	$(BIN)/python -m bench.hostile --seconds 120

wheel-test: setup          ## the wheel alone, in an empty environment, from another folder
	tools/wheel_test.sh

bench: setup               ## mapping against other engines, equal graphs: reports/bench-mapping.json (15 minutes, 15 GB of disk)
	$(BIN)/python bench/mapping.py

bench-serve: setup         ## the service against other SPARQL servers, each on one core (needs wrk; 15 minutes)
	$(BIN)/python -m bench.serve --triples 1000000 5000000 --memory

bench-publishing: setup    ## publish a million triples while sixteen clients ask (2 minutes)
	$(BIN)/python -m bench.publishing

clean:
	rm -rf .venv var dist reports frontend/node_modules cityorchestra_ld/web/static/build
