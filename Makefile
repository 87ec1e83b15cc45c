# make demo    solve, step and compare; writes two reports          make venv   everything for development in .venv
# make test    the tests that CI runs      make test-slow   the rest  make lint   ruff and mypy
# make bench   the numbers of the README   make clean

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
# Index with CPU builds of torch, taken from the README. `make TORCH_INDEX= ...` uses the default index (CUDA on Linux).
TORCH_INDEX ?= $(shell grep -o 'https://[^ ]*/whl/cpu' README.md | head -n 1)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := venv
.PHONY: venv demo test test-slow lint bench clean

# Three stamps: torch alone (from its own index; if that cannot be reached, pip warns and uses the default one), then
# orrl as a user installs it, or orrl with the test tools.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): about 2 GB, a few minutes the first time"
	$(PIP) --no-deps --retries 1 $(addprefix --extra-index-url ,$(TORCH_INDEX)) torch
	@touch $@

$(VENV)/.orrl: $(VENV)/.torch pyproject.toml setup.py
	$(PIP) --editable .
	@touch $@

$(VENV)/.orrl-test: $(VENV)/.torch pyproject.toml setup.py
	$(PIP) --editable ".[test]"
	@touch $(VENV)/.orrl $@

venv: $(VENV)/.orrl-test

demo: $(VENV)/.orrl
	$(BIN)/orrl demo --out demo-report.html

test: $(VENV)/.orrl-test
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

test-slow: $(VENV)/.orrl-test
	$(BIN)/python -m pytest -n $(JOBS) -m slow

# A ruff exclude of the root links would silently drop orrl/problems too, hence the third line.
lint: $(VENV)/.orrl-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(BIN)/ruff check --show-files . | grep -c '/orrl/problems/.*\.py$$' >/dev/null || { echo "ruff does not see orrl/problems"; exit 1; }
	$(BIN)/mypy

bench: $(VENV)/.orrl-test
	$(BIN)/python benchmarks/jobshop.py
	$(BIN)/python benchmarks/uav.py
	$(BIN)/python benchmarks/hydrothermal.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis demo-report.html demo-report-dispatch.html
	find orrl tests -name __pycache__ -prune -exec rm -rf {} +
