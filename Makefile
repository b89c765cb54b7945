# CNM Web. `make help` lists the targets.
PYTHON := /usr/bin/python3
VENV := .venv
STAMP := $(VENV)/.complete
FRONT := static/dist/manifest.json
# `make test` is the same sample each time; another seed gives another order and other examples.
SEED := 2711

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: ## install what is missing and start CNM Web on this host (root)
	@sh install/python.sh
	@$(PYTHON) install/up.py

down: ## stop it and take all kernel state of ours away; data stay (root)
	@$(PYTHON) install/down.py

restart: ## replace our processes while containers run (root)
	@$(PYTHON) install/restart.py

purge: ## take everything away, data too (root)
	@$(PYTHON) install/purge.py

demo: ## a whole host inside this one, with a sample, for trying out (root)
	@sh install/python.sh
	@$(PYTHON) install/demo.py

test: tools $(STAMP) $(FRONT) lint ## all tests (root)
	npm test --silent
	$(VENV)/bin/pytest -n 2 -m "not long" --dist loadscope --no-loadscope-reorder --randomly-seed=$(SEED) $(TESTS)

test-long: tools $(STAMP) $(FRONT) ## the tests that take long (root)
	$(VENV)/bin/pytest -m long --hypothesis-profile explore $(TESTS)

tools: ## the system packages that tests need (root)
	@sh install/test-packages.sh

lint: $(STAMP) $(FRONT) ## style, types of imports and of the console, migrations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	npm run check --silent
	$(VENV)/bin/python -m tests.testlib.scratch manage.py makemigrations --check --dry-run

front: $(FRONT) ## build the console
$(FRONT): package-lock.json build.mjs $(shell find static/src -type f)
	npm ci --ignore-scripts --no-audit --no-fund
	node build.mjs
	@touch $@

bench: tools $(STAMP) $(FRONT) ## measure against a Docker Engine in one run (root; needs dockerd)
	$(VENV)/bin/python -m benchmarks
	$(VENV)/bin/python -m benchmarks.dns
	$(VENV)/bin/python -m benchmarks.follow
	$(VENV)/bin/python -m benchmarks.links
	$(VENV)/bin/python -m benchmarks.audit
	$(VENV)/bin/python -m benchmarks.ports

bench-topology: tools $(STAMP) $(FRONT) ## measure the topology page with 1,000 and 10,000 containers
	$(VENV)/bin/python -m benchmarks.topology

screenshots: tools $(STAMP) $(FRONT) ## a picture of every page, into screenshots/ (root)
	CNM_SCREENSHOTS=screenshots $(VENV)/bin/pytest -q -m browser tests/browser

lock: ## make the lock files anew from pyproject.toml
	$(VENV)/bin/pip install -q uv
	$(VENV)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/base.txt
	$(VENV)/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/dev.txt

$(STAMP): requirements/dev.txt
	sh install/python.sh
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: help up down restart purge demo test test-long tools lint front bench bench-topology screenshots lock
