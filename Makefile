# edgeproof: `make help` lists what there is. Every target makes the environment that it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export EDGEPROOF_DATA ?= $(abspath $(wildcard ../shared))
export TF_CPP_MIN_LOG_LEVEL ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
RUN ?= runs/cifar100
.DELETE_ON_ERROR:

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# A stamp, so that a change of the dependencies installs again and a second run does not.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e '.[train,report,dev]'
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed  ## make .venv with everything for training, export, reports and tests

.PHONY: demo
demo: venv  ## the whole way on embedded data, ending with one HTML report
	$(BIN)/edgeproof demo --out demo --overwrite

.PHONY: test
test: venv  ## all tests but the ones of peers (under 6 minutes on 2 cores)
	$(BIN)/python -m pytest -m 'not peer'

.PHONY: check
check: venv typing  ## ruff, mypy --strict, and the rules about layers, layout and packaging
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_layout.py tests/test_packaging.py

.PHONY: typing
typing:
	@mkdir -p .typing/edgeproof
	@cd .typing/edgeproof && ln -sfn ../../runtime ../../train ../../convert ../../benchmarks ../../models ../../edgeproof/* .
