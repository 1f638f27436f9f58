# Everything works with nothing but Python 3.11: the first target that needs packages makes the virtual environment.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests side by side: one process more than cores, as many of them wait. With -n 0 in ARGS one after the other
CORES := $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$cores -le 5 ] && echo $$cores || echo 5)
JOBS ?= $(shell echo $$(($(CORES) + 2)))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Several times as fast; pip where it fails, as with an index that is set for pip alone
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt
# Compiled modules are kept, whatever the shell says: else each of the processes compiles everything anew
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)
SECONDS_OF_DEMO := $(if $(SECONDS),--seconds $(SECONDS))

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast lint bench site clean

help:
	@echo "make demo   a simulated shop in the browser, live, in about a minute    (SECONDS=30 ends it by itself)"
	@echo "make test   all tests; the broker tests use what this machine has and say what is missing"
	@echo "make test-fast   what matters while editing, in under a minute on two cores, without a broker"
	@echo "make lint   ruff and mypy"
	@echo "make bench  the figures of the main path, in short form; the README names the others"
	@echo "make site   the documentation as a site, in build/site"
	@echo "make clean  remove what the targets made, the virtual environment too"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not on the PATH: install Python 3.11 (or say PYTHON=...)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): 1 to 3 minutes, some gigabytes (PyTorch)"
	$(PIP) uv
	$(UV) -e '.[train,dev]' || $(PIP) -e '.[train,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python -m nextclick demo --page $(SECONDS_OF_DEMO)

test: $(STAMP)
	$(PYTEST) $(ARGS)

test-fast: JOBS = $(CORES) # nothing waits
test-fast: $(STAMP)
	$(PYTEST) -q -m "not broker and not slow and not waits" --hypothesis-profile quick $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m bench $(ARGS)

site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -f deploy/site/mkdocs.yml
	@echo 'build/site/index.html; its search wants a server: $(BIN)/python -m http.server -d build/site'

clean:
	rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
