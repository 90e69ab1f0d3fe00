# `make demo` and `make test` need Python 3.11 or newer and a package registry, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where pip is told of a folder with wheels (a CPU build of torch, say), uv is told of it too.
WHEELS := $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null)
TEST_WORKERS ?= 2

.PHONY: install demo waterbirds waterbirds-folder test test-all lint types contracts check benchmarks freeze clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.12, say")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(WHEELS),--find-links $(WHEELS)) \
	  --constraint constraints.txt --editable ".[demo,image,rag,dev]"
	touch $@

demo: install
	$(BIN)/python examples/imdb/prepare.py
	$(BIN)/alchemist run examples/imdb/task.yaml --out runs/imdb

# Waterbirds in the layout of WILDS: make waterbirds IMAGES=FOLDER, the one with metadata.csv.
waterbirds: waterbirds-folder install
	$(BIN)/python examples/waterbirds/prepare.py "$(IMAGES)"
	$(BIN)/alchemist run examples/waterbirds/task.yaml --out runs/waterbirds

waterbirds-folder:
	@test -f "$(IMAGES)/metadata.csv" || { echo 'no metadata.csv in "$(IMAGES)"; name its folder: make waterbirds IMAGES=FOLDER' >&2; exit 2; }

test: install
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadscope -m "not slow and not gpu and not network and not long"
	$(BIN)/python -m pytest -n $(TEST_WORKERS) -m "slow and not gpu and not network and not long"

# With those that take minutes: several nodes, an object store, many kills. GPU and network tests skip themselves with
# a reason where there is none.
test-all: install
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable ".[cluster-tests]"
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

check: lint types contracts test

benchmarks: install
	$(BIN)/python benchmarks/label_model_quality.py

freeze: install
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
