# CNM Web. `make help` lists the targets.
PYTHON := /usr/bin/python3
VENV := .venv
STAMP := $(VENV)/.complete
FRONT := static/dist/manifest.json
WORDS := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/django.po))
# `make test` is the same sample each time; another seed gives another order and other examples.
SEED := 2711

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: ## install what is missing and start CNM Web on this host (root)
	@sh install/python.sh
	@$(PYTHON) install/up.py

join: ## become one more host of the console at CONSOLE=https://… (root)
	@sh install/python.sh
	@CONSOLE="$(CONSOLE)" $(PYTHON) install/join.py

down: ## stop it and take all kernel state of ours away; data stay (root)
	@$(PYTHON) install/down.py

restart: ## replace our processes while containers run (root)
	@$(PYTHON) install/restart.py

purge: ## take everything away, data too (root)
	@$(PYTHON) install/purge.py

demo: ## a whole host inside this one, with a sample, for trying out (root)
	@sh install/python.sh
	@$(PYTHON) install/demo.py

test: tools $(STAMP) $(FRONT) $(WORDS) lint ## the tests, without those that take long (root)
	npm test --silent
	$(VENV)/bin/pytest -n 4 -m "not long" --dist loadscope --no-loadscope-reorder --randomly-seed=$(SEED) $(TESTS)

test-long: tools $(STAMP) $(FRONT) $(WORDS) ## the tests that take long (root)
	$(VENV)/bin/pytest -m long --hypothesis-profile explore $(TESTS)

ON_POSTGRES ?= tests/services tests/api tests/pages tests/live tests/engine tests/product tests/browser tests/multihost
test-postgres: tools $(STAMP) $(FRONT) $(WORDS) ## the tests whose product keeps data, on a PostgreSQL server that they start (root)
	$(VENV)/bin/python -m pytest -p tests.testlib.on_postgresql -n 4 -m "not long" --dist loadscope --no-loadscope-reorder --randomly-seed=$(SEED) $(ON_POSTGRES)

VM_TESTS ?= tests/vm
test-vm: tools $(STAMP) $(WORDS) ## the tests that need another kernel than this machine's, under qemu (root; some minutes)
	$(VENV)/bin/python -m tests.vm.run var/vm $(VENV)/bin/pytest -q -p no:cacheprovider -p no:randomly $(VM_TESTS)

tools: ## the system packages that tests need (root)
	@sh install/test-packages.sh
	@sh install/test-compose.sh
	@sh install/test-ansible.sh

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

messages: tools $(STAMP) ## bring the translations up to date with the code, and list what is not translated
	$(VENV)/bin/python -m tests.testlib.scratch manage.py messages

%.mo: %.po
	msgfmt --check --output-file=$@ $<

bench: tools $(STAMP) $(FRONT) $(WORDS) ## measure against a Docker Engine in one run (root; needs dockerd)
	$(VENV)/bin/python -m benchmarks
	$(VENV)/bin/python -m benchmarks.processes
	$(VENV)/bin/python -m benchmarks.dns
	$(VENV)/bin/python -m benchmarks.follow
	$(VENV)/bin/python -m benchmarks.links
	$(VENV)/bin/python -m benchmarks.audit
	$(VENV)/bin/python -m benchmarks.ports
	$(VENV)/bin/python -m benchmarks.overlay
	$(VENV)/bin/python -m benchmarks.keys

bench-topology: tools $(STAMP) $(FRONT) $(WORDS) ## measure the topology with 1,000 and 10,000 containers, and first visits (root)
	$(VENV)/bin/python -m benchmarks.topology
	$(VENV)/bin/python -m benchmarks.first_load

screenshots: tools $(STAMP) $(FRONT) $(WORDS) ## a picture of every page, into screenshots/, and the README's (root)
	CNM_SCREENSHOTS=screenshots $(VENV)/bin/pytest -q -m browser tests/browser
	cp screenshots/topology-1440.png docs/topology.png
	cp screenshots/network-new-plan-1440.png docs/plan.png

lock: ## make the lock files anew from pyproject.toml
	$(VENV)/bin/pip install -q uv
	$(VENV)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/base.txt
	$(VENV)/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/dev.txt
	$(VENV)/bin/uv pip compile --group ansible --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/ansible.txt

$(STAMP): requirements/dev.txt
	sh install/python.sh
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: help up join down restart purge demo test test-long test-postgres test-vm tools lint front messages bench bench-topology screenshots lock
