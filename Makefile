# `make run` and `make test` are all that a newcomer needs; both make their environment first.
.PHONY: help run test check bench lock clean

UV ?= uv
COMPILE = $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

help:
	@echo "make run     make the environment, then show Jindang at work on its examples"
	@echo "make test    make the test environment, then run the checks and all tests"
	@echo "make check   the checks alone: ruff, format, mypy, import-linter"
	@echo "make bench   measure ingest and sending against their peers, and the catalogue (about an hour)"
	@echo "make lock    pin the newest allowed requirements again (needs uv)"
	@echo "make clean   remove what was made here: environments, caches, reports"

run:
	@scripts/bootstrap run
	@.venv/bin/jindang demo

# The tests run even when a check fails, so that one run tells everything; pytest's summary comes last.
test:
	@scripts/bootstrap test
	@failed=0; \
	$(MAKE) --no-print-directory checks || failed=1; \
	COVERAGE_FILE="$(CURDIR)/.coverage" .venv/bin/python -m pytest -n 2 --cov --cov-report=term || failed=1; \
	exit $$failed

check:
	@scripts/bootstrap test
	@$(MAKE) --no-print-directory checks

.PHONY: checks
checks:
	@failed=0; \
	.venv/bin/ruff check . scripts/make-examples scripts/make-reference scripts/verify-ledger || failed=1; \
	.venv/bin/ruff format --check . scripts/make-examples scripts/make-reference scripts/verify-ledger || failed=1; \
	.venv/bin/mypy || failed=1; \
	.venv/bin/lint-imports || failed=1; \
	exit $$failed

bench:
	@scripts/bootstrap test
	.venv/bin/python benchmarks/ingest.py --write
	.venv/bin/python benchmarks/replicate.py --write
	.venv/bin/python benchmarks/catalogue.py --write

# setuptools, packaging and others that occur in more than one file get the same version in each.
lock:
	@command -v $(UV) >/dev/null || { echo "make lock needs uv (or UV=path of uv)"; exit 1; }
	$(COMPILE) --upgrade --extra postgresql --extra demo pyproject.toml -o requirements/run.txt
	$(COMPILE) --upgrade --extra postgresql --extra demo --extra dev -c requirements/run.txt pyproject.toml -o requirements/test.txt
	$(COMPILE) --upgrade -c requirements/test.txt requirements/build.in -o requirements/build.txt
	$(COMPILE) --upgrade requirements/peers.in -o requirements/peers.txt

clean:
	rm -rf .venv .venv-peers build *.egg-info .coverage .coverage.* htmlcov \
		.hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
