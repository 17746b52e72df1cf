# Everything a person or a machine does here: `make help`. Needs make and Python 3.11 or newer.
.DEFAULT_GOAL := help
.PHONY: help venv page demo test tools quick pythons coverage check checks types types-win32 types-darwin fuzz faults powercuts simulate endurance lab bench report paths pictures build lock clean

PY := .venv/bin/python

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## set up .venv with locked tools and dcsend itself
	@sh scripts/venv.sh

page: venv ## build the page for browsers if its sources have changed
	@$(PY) scripts/page.py

demo: venv ## send a real file between two processes and compare the digests
	@$(PY) bench/demo.py

test: ## set up, then run every check and every test
	@$(MAKE) --no-print-directory --jobs=2 page tools checks
	@$(PY) -m scripts.tests

tools: ## install the system tools that tests use, as root with apt-get
	@sh scripts/system-tools.sh

quick: venv ## the tests that need no root, browser, other process or wait; under a minute
	@$(PY) -m scripts.tests quick

pythons: venv ## the same on CPython 3.12 and 3.13
	@sh scripts/pythons.sh 3.12 3.13

coverage: venv ## branch coverage of the tests without browsers
	$(PY) -m pytest tests dcsend --ignore=tests/pages --cov --cov-report=term-missing

check: ## formatting, lint and types only
	@$(MAKE) --no-print-directory --jobs=2 checks

checks: page types types-win32 types-darwin
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	$(PY) scripts/prose.py
	@$(PY) scripts/page.py check

types: venv
	$(PY) -m mypy

types-win32 types-darwin: types-%: venv # of the package on another system
	$(PY) -m mypy -p dcsend --platform $* --no-warn-unreachable --cache-dir .mypy_cache/$*

fuzz: ## run a fuzzer on each parser that remote hosts can reach; see CONTRIBUTING.md
	@sh scripts/fuzz.sh $(TARGET) $(SECONDS)

faults: venv ## make every call on a file fail once, and kill 1000 programs; write docs/faults.md; an hour
	$(if $(filter kills,$(PART)),,$(PY) -m tests.faults $(if $(PART),--part $(PART)))
	$(if $(filter-out kills,$(PART)),,$(PY) -m tests.kills)

powercuts: venv tools ## cut the power of receiving disks 1000 times; write docs/powercuts.md; 20 minutes, continues
	$(PY) -m tests.powercuts

endurance: venv ## 10 000 transfers with faults to one receiver that stays; write docs/endurance.md; 25 minutes
	$(PY) -m tests.endurance --report docs/endurance.md

simulate: venv ## two sides with simulated clock, network and disk, 100 000 seeds; write docs/simulation.md; an hour, continues
	$(PY) -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS))

lab: page tools ## try every way of connecting in 38 networks; write docs/networks.md; 2 hours, continues
	$(if $(PART),,$(PY) -m pytest -q tests/lab/every_reason.py)
	$(if $(PART),,$(PY) -m pytest -q tests/lab/every_limit.py)
	$(if $(PART),,DCSEND_TESTS_ALL=1 $(PY) -m pytest -q tests/rendezvous tests/session/test_many_wrong_codes.py)
	$(PY) -m tests.lab.measure $(PART)

bench: page tools ## measure everything; write docs/performance.md; 3 hours, see bench/
	@sh scripts/bench-venv.sh
	$(PY) -m bench.startup
	$(PY) -m bench.meeting
	$(PY) -m bench.throughput
	$(PY) -m bench.small
	$(PY) -m bench.browsers
	$(PY) -m bench.uploads
	$(PY) -m bench.uplink
	$(PY) -m bench.fairness
	$(PY) -m bench.sizes
	$(PY) -m bench.flood
	$(PY) -m bench.paths
	@$(MAKE) --no-print-directory report

report: ## write docs/performance.md and its plots from the last measurements
	@sh scripts/bench-venv.sh
	build/bench-venv/bin/python -m bench.report

paths: venv tools ## measure over emulated paths only: delay, loss, rate, queue; 45 minutes
	@sh scripts/bench-venv.sh
	$(PY) -m bench.paths
	$(PY) -m bench.uploads

pictures: page tools ## make the pictures of README from a real run
	@$(PY) -m scripts.pictures

build: page ## build the wheel, install it in a fresh environment, start it
	@sh scripts/build.sh

lock: venv ## write the lists of locked packages from pyproject.toml
	@sh scripts/lock.sh

clean: ## remove everything that the other targets made
	rm -rf .venv .venv-* .fuzz build dist web-receiver/dist web-receiver/node_modules htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
