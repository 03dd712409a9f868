# The task list. Every target makes the environment it needs; VENV=path puts it elsewhere.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
METADATA := setup.cfg pyproject.toml

.PHONY: demo test verify lint docs bench agreement work-precision convergence clean help

help:
	@echo "make demo    run particles, JKO and SGD on the motorcycle data, compare and draw"
	@echo "make test    the test suite          make verify  and all checks of the cases, slow tests"
	@echo "make lint    ruff and mypy           make docs    the documentation, in docs/_build"
	@echo "make bench   benchmarks, minutes     make clean   remove what the other targets made"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python 3.11 or newer with its venv module is needed; on Debian: apt install python3-venv"; exit 1; }

# One stamp per set of extras, renewed when the metadata change.
$(VENV)/.user: $(METADATA) | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(METADATA) | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[dev]
	@touch $@ $(VENV)/.user

$(VENV)/.docs: $(METADATA) | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[docs]
	@touch $@ $(VENV)/.user

$(VENV)/.bench: $(METADATA) | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .[bench,mpi]
	@touch $@ $(VENV)/.user

RESULTS := results/particles.h5 results/jko.h5 results/sgd.h5

demo: $(VENV)/.user
	@mkdir -p results
	@rm -f $(RESULTS)
	$(BIN)/wgflow run motorcycle --solver particles -o results/particles.h5
	$(BIN)/wgflow run motorcycle --solver jko -o results/jko.h5
	$(BIN)/wgflow run motorcycle --solver sgd -o results/sgd.h5
	$(BIN)/wgflow compare $(RESULTS) --plot results/comparison.png --html results/comparison.html --force

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"

# What fails soonest comes first. The slow checks of the cases are in the second line.
verify: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"
	$(BIN)/wgflow verify --all
	$(BIN)/python -m pytest -m slow --deselect tests/test_cases.py::test_every_slow_check_of_a_case_holds

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# Against NumPy, PyTorch and KeOps, for the page of benchmarks; then the grid solvers.
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/grid.py

# The table and the figure of the page on methods.
agreement: $(VENV)/.dev
	$(BIN)/python benchmarks/agreement.py

work-precision: $(VENV)/.dev
	$(BIN)/python benchmarks/work_precision.py

# The tables and the figure of the page on rates of convergence.
convergence: $(VENV)/.dev
	$(BIN)/python benchmarks/convergence.py

clean:
	rm -rf $(VENV) build dist docs/_build docs/analyses docs/named_cases *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
