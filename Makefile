# Set-up needs nothing but Python >= 3.11; everything lands in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Each of the many processes of a test run would compile all of the code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test test-clients test-postgresql test-ha test-versions test-faults faults lint types unit hostile format docs bench clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv with the pinned dependencies

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "flight-mom needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## play the story on real data and serve until Ctrl-C (ONCE=1: play, check, stop)
	$(BIN)/flight-mom demo $(if $(filter 1,$(ONCE)),--once) $(ARGS)

test: lint types unit ## lint, types and all tests that need only Python

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# A file's tests stay together: they share servers. JOBS=0 runs all in one process.
JOBS ?= 2
unit: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# The JDBC driver is one jar, from Maven; its digest is checked before it is used.
CLIENTS := .clients
JDBC_DRIVER := org.apache.arrow:flight-sql-jdbc-driver:18.3.0
JDBC_SHA256 := 3f418b46c880e263558c5de669bdbede2c5d4375527ced116fb29f795b03704c
MAVEN_COPY := org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy

NODE := tests/clients/node
# Python clients whose requirements contradict ours.
CLIENTS_VENV := .venv-clients
CLIENTS_LOCK := tests/clients/python/requirements.lock

test-clients: install $(CLIENTS)/flight-sql-jdbc-driver.jar $(NODE)/node_modules/.installed $(CLIENTS_VENV)/.installed ## JDBC, Node and old Python clients against running servers (needs Java 17, Maven, Node 20)
	$(BIN)/python -m pytest -m clients tests/clients

$(CLIENTS)/flight-sql-jdbc-driver.jar: Makefile
	@command -v java javac mvn > /dev/null || { echo "test-clients needs Java 17 and Maven" >&2; exit 1; }
	mvn --quiet --batch-mode $(MAVEN_COPY) -Dartifact=$(JDBC_DRIVER) \
	  -DoutputDirectory=$(CLIENTS) -Dmdep.stripVersion=true -Dmdep.overWriteReleases=true
	@echo "$(JDBC_SHA256)  $@" | sha256sum --check --quiet || { rm -f $@; exit 1; }
	@touch $@

$(NODE)/node_modules/.installed: $(NODE)/package-lock.json
	@command -v node npm > /dev/null || { echo "test-clients needs Node 20 or newer" >&2; exit 1; }
	npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(CLIENTS_VENV)/.installed: $(CLIENTS_LOCK)
	$(PYTHON) -m venv $(CLIENTS_VENV)
	$(CLIENTS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(CLIENTS_LOCK)
	@touch $@

hostile: install ## the laws of every statement on many times the usual examples (about half an hour)
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest tests/planner/test_hostile.py tests/e2e/test_oracle.py --timeout 0

POSTGRESQL_TESTS := tests/auth/test_stores.py tests/auth/test_auditchain.py tests/storage/test_tablestore.py \
  tests/flight_member/test_statestore.py tests/flight_member/test_peers.py tests/flight_mom tests/e2e/test_revocation.py \
  tests/security/test_guessing.py

test-postgresql: install ## the tests of what servers keep, on a PostgreSQL that they start (Debian's package postgresql)
	$(BIN)/python -m pytest --state-database postgresql $(POSTGRESQL_TESTS)

test-ha: install ## several servers over one PostgreSQL that are killed, paused and cut off (Debian's packages postgresql and haproxy)
	$(BIN)/python -m pytest -m ha tests/ha

test-faults: install ## everything fails once: processes, lines, disks and clocks of a federation
	$(BIN)/python -m pytest -m faults tests/faults

SEED ?= 1
COUNT ?= 1000
TAKEOVERS ?= 100
faults: install ## seeded schedules of faults (SEED=1 COUNT=1000 TAKEOVERS=100: about three hours)
	$(BIN)/python -m tests.faults --seed $(SEED) --count $(COUNT) $(ARGS)
	$(BIN)/python -m tests.faults --takeovers --seed $(SEED) --count $(TAKEOVERS)

# What passes between servers: joining, beats, reports, revocations, jobs, cancelling, tickets.
VERSION_TESTS := tests/versions tests/e2e/test_clients.py tests/e2e/test_calls.py tests/e2e/test_jobs.py \
  tests/e2e/test_federation_tables.py tests/e2e/test_revocation.py tests/e2e/test_cancelling.py tests/e2e/test_handles.py \
  tests/e2e/test_heartbeats.py tests/e2e/test_metadata.py tests/e2e/test_definitions.py tests/e2e/test_empty_places.py

test-versions: install ## the end-to-end tests with members, then the MoM, one minor version of the protocol behind
	$(BIN)/python -m pytest --old-side member $(VERSION_TESTS)
	$(BIN)/python -m pytest --old-side mom $(VERSION_TESTS)

format: install ## rewrite the code as the formatter wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## write the generated pages of docs/ anew
	$(BIN)/python -m tests.docs.generate

bench: install ## the scan benchmark at scale 2 (table, JSON and plot in bench/results)
	$(BIN)/python -m bench scan

clean: ## remove everything that a target made, except .demo
	rm -rf $(VENV) $(CLIENTS_VENV) $(CLIENTS) $(NODE)/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/data bench/results
