# Every target works from a clean clone: the environment is made in .venv on first use, and again when what it must
# hold changes. Settings are environment variables, so both `PORT=9000 make run` and `make run PORT=9000` work.

BIN := .venv/bin
PYTEST_ARGS ?= -n 2
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test bench chaos nightly year storms mutants screenshots sbom lint types format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## start everything on this machine: database, booking pages, worker, previewed messages
	@exec $(BIN)/python -m scheduler up

test: .venv/installed-dev ## run the whole suite, or a part of it: make test PYTEST_ARGS=tests/unit
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: .venv/installed-dev ## measure how fast it is beside what the stack can do, all of it or: make bench ONLY=S1,B2
	@$(BIN)/python -m benchmarks --only "$(ONLY)" $(if $(REPEATS),--repeats $(REPEATS))

nightly: .venv/installed-dev ## try what is tried at random far more often, a whole year and five storms: half an hour
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=nightly --timeout=3600 $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory year storms

year: .venv/installed-dev ## live through a whole year of a busy clinic, and compare each message with what was promised
	@SIMULATED_YEAR=whole $(BIN)/python -m pytest -s tests/integration/test_simulated_year.py

storms: .venv/installed-dev ## kill workers and fail Twilio with five seeds: with callbacks, without, and as a naive worker
	@STORMS=5 $(BIN)/python -m pytest -s tests/acceptance/test_storms.py

chaos: .venv/installed-dev ## break everything while clients book, and prove that nothing is lost: SEEDS=300, SEED=17, CONTROL=all
	@$(BIN)/python -m chaos $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),8)) $(if $(KEEP),--keep $(KEEP)) $(if $(CONTROL),--control $(CONTROL))

mutants: .venv/installed-dev ## break each rule of the domain in every small way, and list what no test notices: ONE_IN=4 for a part
	@$(BIN)/python -m tools.mutation $(if $(ONE_IN),--one-in $(ONE_IN)) $(MODULES)

screenshots: .venv/installed-dev ## take pictures of every patient's screen into screenshots/, and those of the README and docs into docs/
	@mkdir -p screenshots
	@BROWSER_TESTS_REQUIRED=1 SCREENSHOTS=screenshots $(BIN)/python -m pytest $(PYTEST_ARGS) tests/browser/test_screens.py \
		tests/browser/board/test_looks.py::test_what_a_desk_needs_is_in_sight

sbom: .venv/installed ## write sbom.cdx.json, what the service is made of
	@$(BIN)/python -m tools.sbom >sbom.cdx.json && echo "sbom.cdx.json"

lint: .venv/installed-dev ## check style, format, imports and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory types

types: .venv/installed-dev ## check the types alone
	@$(BIN)/pyright --pythonpath $(BIN)/python

format: .venv/installed-dev ## put the code into its format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: ## pin the newest allowed version of every library, by hash (needs uv)
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		pyproject.toml --output-file requirements.txt
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra dev --constraint requirements.txt pyproject.toml --output-file requirements-dev.txt

clean: ## remove the environment and the caches; the data in .data stays
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -not -path './.data/*' -prune -exec rm -rf {} +

# Readable for every account, so that the server of the database need not be root.
.venv/installed: requirements.txt pyproject.toml
	@set -e; umask 022; \
	for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer with its venv module is needed; on Debian: apt-get install python3 python3-venv" >&2; \
		exit 2; \
	fi; \
	echo "Making the environment in .venv with $$($$python --version); this takes about a minute, once."; \
	$$python -m venv .venv; \
	$(INSTALL) --require-hashes -r requirements.txt; \
	$(INSTALL) --no-deps -e .; \
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@umask 022; echo "Adding the tools for tests and checks to .venv."; \
	$(INSTALL) --require-hashes -r requirements-dev.txt && touch $@
