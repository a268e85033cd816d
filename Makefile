# Every target works on a fresh machine with make, Node (20 or newer) and npm; what needs more installs it or says so.
# The Node that runs everything is the one pinned in package.json: npm puts it first on the PATH of its scripts.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

conformance: build ## the upstream Pod Security suite through Drawbridge, on a real API server
	@npm run --silent compile && node dist/test/conformance/run.js

.PHONY: bench bench-docs bench-smoke conformance e2e help run demo build check test test-unit test-cluster manifests clean

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

# Only when the lock file changed: a second `make run` starts at once.
node_modules/.installed: package.json package-lock.json
	@echo 'installing packages (a minute or so) ...'
	@npm ci --no-audit --no-fund --no-update-notifier --loglevel=error > /dev/null
	@touch $@

sources := $(shell find src webhooks certs manifests scripts bin -type f 2>/dev/null)
dist/bundle/drawbridge.js: node_modules/.installed $(sources)
	@echo 'building ...'
	@npm run --silent bundle

build: dist/bundle/drawbridge.js ## install packages and build the program

run: build ## install, build and start Drawbridge standalone (Ctrl-C stops it; DATA=folder, PORT=, ALERTS_PORT=, ADMIN_PORT=)
	@exec node bin/drawbridge.js serve --standalone --data $(or $(DATA),data) $(if $(PORT),--port $(PORT)) $(if $(ALERTS_PORT),--alerts-port $(ALERTS_PORT)) $(if $(ADMIN_PORT),--admin-port $(ADMIN_PORT))

demo: build ## play the story of the README against the running server
	@node scripts/demo.js $(or $(DATA),data)

test: node_modules/.installed ## all checks and tests; what CI runs
	@node scripts/test.js

test-unit: node_modules/.installed ## compile and run the tests that need no cluster
	@npm run --silent build && npm run --silent test:unit

test-cluster: build ## tests on a real API server
	@npm run --silent compile && npm run --silent test:cluster

e2e: build ## tests on a real node: the image, installed by the chart (root on Linux; about 12 minutes; builds what is missing once; SENSOR=falco or tracee: the scenarios with a real one)
	@npm run --silent compile && npm run --silent test:e2e

bench: build ## measure, print a table, write bench/results.json (half an hour or more; ONLY=name[,name], SCALE=0.1)
	@npm run --silent compile && node dist/test/bench/run.js --scale $(or $(SCALE),1) $(if $(ONLY),--only $(ONLY))

bench-docs: node_modules/.installed ## write the table and charts of docs/performance.md from bench/results.json
	@npm run --silent compile && node dist/test/bench/docs.js

bench-smoke: build ## whether something got slow: ratios to a bare server, under a minute
	@npm run --silent compile && node dist/test/bench/smoke.js

manifests: build ## write the generated files under manifests/ again (builds Helm once)
	@npm run --silent compile && UPDATE_MANIFESTS=yes node_modules/.bin/mocha --grep UPDATE_MANIFESTS > /dev/null; UPDATE_MANIFESTS=yes node_modules/.bin/mocha --config .mocharc.cluster.cjs --grep UPDATE_MANIFESTS > /dev/null; git status --short manifests

clean: ## delete what was built
	@rm -rf dist coverage
