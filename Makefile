# What a contributor or a curious reader runs. Needs Python >= 3.10 with venv and pip, and make; the rest is installed
# into .venv on first use. Every target can be run first, and again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
EDITABLE := -e . $(foreach plugin,$(PLUGINS),-e "./$(plugin)[instruments]")
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# What is set for another Python must not reach ours.
unexport PYTHONHOME
unexport PYTHONPATH
unexport PIP_USER

.PHONY: help demo test lint bench clean
help:
	@echo "make demo    trace an ordinary OpenAI program that talks to a small model on this machine"
	@echo "make test    the whole test suite, on one Python and the newest SDKs (tox runs the matrix)"
	@echo "make lint    ruff and mypy"
	@echo "make bench   what tracing costs, against the alternatives; writes docs/performance.md"
	@echo "make clean   remove .venv and what tools leave behind; traces in .autotrace stay"

demo: $(VENV)/autotrace.stamp
	@$(BIN)/python examples/install_local_model.py
	$(BIN)/python examples/demo.py

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/lint.stamp
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

bench: $(VENV)/python.stamp
	$(BIN)/python benchmarks/run.py --write docs/performance.md

clean:
	rm -rf $(VENV) .tox benchmarks/.envs dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src plugins tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written when all before it has worked: what was interrupted is begun anew.
# pip is renewed because dependency groups need pip 25.1.
$(VENV)/python.stamp:
	@command -v $(PYTHON) >/dev/null \
	  || { echo "There is no $(PYTHON). Say which Python: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed; %s is %d.%d. Say which one: make PYTHON=/path/to/python3.12" % ((sys.executable,) + tuple(sys.version_info[:2])))'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) has no venv or ensurepip. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade "pip>=25.1"
	@touch $@

$(VENV)/autotrace.stamp: $(VENV)/python.stamp $(PROJECTS)
	@echo "Installing autotrace, its plugins and the newest version of what they trace"
	@$(PIP) install $(EDITABLE)
	@touch $@

$(VENV)/test.stamp: $(VENV)/autotrace.stamp
	@echo "Installing what the tests need"
	@$(PIP) install --group test
	@touch $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	@echo "Installing ruff and mypy"
	@$(PIP) install --group lint
	@touch $@
