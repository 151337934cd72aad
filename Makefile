# SPDX-License-Identifier: LGPL-2.1-or-later
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

KERNEL ?= 6.1
SCENE ?= zoo
SET ?=
DEMO ?= vmcores/6.12-zoo.core.xz
FLAGS ?=

.PHONY: help demo test test-slow test-vm test-vm-scenes test-vm-all vmcore vmcores golden fuzz mutants bench bench-live bench-fleet lint types docs man picture screens release clean

help:
	@echo 'make demo      run the report on a recorded core of a real kernel'
	@echo 'make test      fast tests: no root, no QEMU, no debug symbols'
	@echo 'make test-slow more of these: killed processes, damaged dumps, fuzzing'
	@echo 'make test-vm   the same claims on booted kernels (root, a Debian mirror)'
	@echo 'make test-vm-scenes'
	@echo '               every scene of these on every series of kernels'
	@echo 'make test-vm-all'
	@echo '               values and answers on the oldest and the newest build of each'
	@echo '               series and flavour, and a table of them'
	@echo 'make vmcore KERNEL=6.1 SCENE=zoo [SET="N=100"]'
	@echo '               make a real crash dump, with the truth beside it'
	@echo 'make vmcores   record the cores in vmcores/ again'
	@echo 'make golden    update the golden output of the recorded cores'
	@echo 'make fuzz [SECONDS=60] [SEED=1]'
	@echo '               reports of recorded cores whose memory is wrong'
	@echo 'make mutants [COUNT=100] [SEED=1]'
	@echo '               mistakes made on purpose: do the fast tests notice them?'
	@echo 'make bench     speed and memory, as ratios'
	@echo 'make bench-live'
	@echo '               the same against ip, bpftool, ethtool and /proc in a guest'
	@echo 'make bench-fleet'
	@echo '               dumps a second, of 500 dumps'
	@echo 'make lint types'
	@echo 'make picture   make docs/picture.png again (Chromium)'
	@echo 'make screens   renew the screens of README and docs/, after make golden'
	@echo 'make docs      build the pages: docs/_build/html/index.html'
	@echo 'make man       make the man page of the options, after a change to them'
	@echo 'make release   build wheel and sdist, check them, and say how to publish'

NEW_ENOUGH = $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 9))' 2>&1
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.made:
	$(if $(filter True,$(shell $(NEW_ENOUGH))),,\
		$(error Python 3.9 or later is required; set PYTHON=... if $(PYTHON) is not))
	$(PYTHON) .ci/venv.py $(VENV)
	@touch $@

# A stamp for each set of packages: demo needs two, the checks need more. With it, the
# environment has the command drgn-veth.
$(VENV)/.run: pyproject.toml | $(VENV)/.made
	$(PIP) 'drgn>=0.0.33' 'tabulate>=0.9' -e .
	@touch $@

# The tests have their bytecode elsewhere: see PYTEST.
$(VENV)/.test: pyproject.toml | $(VENV)/.made
	$(PIP) --no-compile -e '.[test]'
	@touch $@

$(VENV)/.slow: $(VENV)/.test
	$(PIP) --no-compile -e '.[slow]'
	@touch $@

$(VENV)/.vm: $(VENV)/.slow
	$(PIP) --no-compile -e '.[vm]'
	@touch $@

$(VENV)/.lint: $(VENV)/.slow
	$(PIP) -e '.[lint]'
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/.release: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[release]'
	@touch $@

LAB = PYTHONPATH=vmcores $(PYTHON) -m lab

vmcore:
	$(LAB) vmcore --kernel $(KERNEL) --scene $(SCENE) $(foreach s,$(SET),--set $(s)) $(FLAGS)

demo: $(VENV)/.run
	@$(BIN)/drgn-veth $$($(BIN)/python vmcores/unpack.py $(DEMO) build)

vmcores: $(VENV)/.test
	PYTHONPATH=vmcores $(BIN)/python vmcores/record.py

golden: $(VENV)/.test
	PYTHONPATH=vmcores $(BIN)/python vmcores/golden.py

# Tests start many processes: none compiles a module that another one has compiled.
PYTEST = unset PYTHONDONTWRITEBYTECODE; PYTHONPYCACHEPREFIX=$(CURDIR)/build/bytecode \
	$(BIN)/python -m pytest

# What need not even be collected: hypothesis alone takes two seconds to install, Dask
# and pyarrow more.
NOT_HERE = --ignore=tests/vm --ignore-glob='*_fuzz.py' --ignore-glob='*_dask.py'

test: $(VENV)/.test
	$(PYTEST) -m 'not vm and not slow' $(NOT_HERE) -n auto --dist worksteal tests

test-slow: $(VENV)/.slow
	$(PYTEST) -m 'slow and not vm' --ignore=tests/vm -n auto --dist worksteal tests

test-vm: $(VENV)/.vm
	$(PYTEST) -m 'vm and not rare' tests

# Every scene on every series, and more scenes; LAB_KERNELS takes others: 6.12.107, 6.1-rt.
test-vm-scenes: $(VENV)/.vm
	LAB_KERNELS="$${LAB_KERNELS:-5.10 6.1 6.12 7 6.12-arm64}" $(PYTEST) -m vm tests

# The kernels take 30 GB of the disk.
SERIES = 5.10 6.1 6.12 7
OLD_AND_NEW = $(SERIES) $(SERIES:%=%-oldest)
BUILDS = $(OLD_AND_NEW) $(OLD_AND_NEW:%=%-generic) $(OLD_AND_NEW:%=%-rt) \
	6.12-arm64 6.12-oldest-arm64 7-arm64 6.12-arm64-16k

test-vm-all: $(VENV)/.vm
	LAB_KERNELS="$${LAB_KERNELS:-$(BUILDS)}" $(PYTEST) -m vm -k 'every_value or every_answer' \
		tests/vm/test_report.py tests/vm/test_answers.py tests/vm/test_elsewhere.py

SECONDS ?= 60
CORES ?= 5.10-zoo 6.1-whose 7.3-zoo

fuzz: $(VENV)/.test
	PYTHONPATH=.:helpers:vmcores $(BIN)/python -m tests.support.wrong_words \
		--seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(CORES)

COUNT ?= 100

mutants: $(VENV)/.test
	PYTHONPATH=.:helpers:vmcores $(BIN)/python -m tests.support.mutants \
		--count $(COUNT) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench.report
	$(BIN)/python -m tests.bench.whose
	$(BIN)/python -m tests.bench.whose --held
	$(BIN)/python -m tests.bench.scale

bench-live: $(VENV)/.test
	$(BIN)/python -m tests.bench.whose --live

bench-fleet: $(VENV)/.slow
	$(BIN)/python -m tests.bench.fleet

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy helpers drgn_scripts docs tests vmcores

# From scratch, or pages of removed modules would stay. make test runs the examples.
docs: $(VENV)/.docs
	rm -rf docs/_build docs/_reference
	$(BIN)/sphinx-build -q -n -W --keep-going -j auto -b html docs docs/_build/html
	@echo docs/_build/html/index.html

man: $(VENV)/.release
	$(BIN)/python docs/man.py

# From what git has, in a folder of its own: neither stray files nor an old build/ get in.
VERSION = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' helpers/drgn_veth/core/version.py)
release: $(VENV)/.release
	rm -rf dist build/release && mkdir -p build/release
	git archive HEAD | tar -x -C build/release
	$(BIN)/python -m build --outdir dist build/release
	$(BIN)/twine check --strict dist/*
	@echo
	@echo 'To publish $(VERSION):'
	@echo '  1. core/version.py and CHANGELOG.md have the version; make man, test, test-vm'
	@echo '  2. git tag -s v$(VERSION) && git push origin v$(VERSION)'
	@echo '  3. make release && $(BIN)/twine upload dist/*'

# DuckDB makes some of them.
screens: $(VENV)/.vm
	$(BIN)/python docs/screens.py

# For docs/picture.md; needs Chromium.
picture: $(VENV)/.test
	$(BIN)/python docs/picture.py

clean:
	rm -rf $(VENV) docs/_build docs/_reference build dist helpers/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
