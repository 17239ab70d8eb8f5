# What a contributor or a curious reader runs. Needs Python >= 3.10 with venv and pip, and make; the rest is installed
# into .venv and .venv-llama-index on first use. Every target can be run first, and again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# LlamaIndex has an environment of its own: its OpenAI clients want an older openai than LangChain's.
LLAMA_VENV := .venv-llama-index
LLAMA_BIN := $(LLAMA_VENV)/bin
# A real MLflow server, and MLflow's own client, for the tests that deliver to it; autotrace itself is not in there.
MLFLOW_VENV := .venv-mlflow
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))

# What is installed: autotrace and every plugin, each of those named as "plugins/x" with the framework that it traces.
editable = -e ".[ui]" $(foreach plugin,$(PLUGINS),-e "./$(plugin)$(if $(filter $(plugin),$(1)),[instruments])")
EDITABLE := $(call editable,$(filter-out plugins/autotrace-llama-index,$(PLUGINS)))
LLAMA_EDITABLE := $(call editable,plugins/autotrace-openai plugins/autotrace-llama-index)
# $(@D) is the environment that a stamp stands in.
PIP = $(@D)/bin/python -m pip --quiet --disable-pip-version-check

# What is tested in LlamaIndex's environment, where ARGS names no path. The plugin of OpenAI on the openai that is in there:
# tox -e openai-2x.
LLAMA_TESTS := plugins/autotrace-llama-index tests/examples/test_programs.py \
  tests/delivery/destinations/test_mlflow_programs.py
# ARGS goes to both environments, but a path to the one where it belongs.
NEWEST_ALONE := $(filter tests%,$(ARGS))$(findstring plugins/autotrace-langchain,$(ARGS))
LLAMA_ALONE := $(findstring plugins/autotrace-llama-index,$(ARGS))
# pytest's status 5, no tests: what ARGS chose by name may be in the other environment.
MAY_BE_EMPTY := $(if $(ARGS),$(if $(NEWEST_ALONE)$(LLAMA_ALONE),,|| test $$? -eq 5))

# Most tests wait for processes and servers: several files at once, where all are run. WORKERS=0: one after another.
WORKERS ?= 3
SEVERAL := $(if $(ARGS),,--numprocesses $(WORKERS) --dist loadfile)

# What is set for another Python must not reach ours.
unexport PYTHONHOME
unexport PYTHONPATH
unexport PIP_USER

# What is skipped where no type checker is installed, as in the environment of `make test` before `make lint`.
TYPED := tests/test_typing.py tests/cli/test_new_plugin.py::test_what_it_writes_is_typed

.PHONY: help demo test test-newest test-llama-index lint bench clean
help:
	@echo "make demo    trace ordinary programs that talk to a small model on this machine: OpenAI, LangChain, LlamaIndex"
	@echo "make test    the whole test suite, on one Python and the newest SDKs (tox runs the matrix)"
	@echo "make lint    ruff, mypy, and what type checkers find in plugins"
	@echo "make bench   what tracing costs, against the alternatives; writes docs/performance.md"
	@echo "make clean   remove the environments and what tools leave behind; traces in .autotrace stay"

demo: $(VENV)/autotrace.stamp $(LLAMA_VENV)/autotrace.stamp
	@$(BIN)/python examples/install_local_model.py
	$(BIN)/python examples/demo.py --llama-index-python $(LLAMA_BIN)/python

test: $(if $(LLAMA_ALONE),,test-newest) $(if $(NEWEST_ALONE),,test-llama-index)

test-newest: $(VENV)/test.stamp $(MLFLOW_VENV)/mlflow.stamp
	$(BIN)/python -m pytest $(SEVERAL) $(ARGS) $(MAY_BE_EMPTY)

test-llama-index: $(LLAMA_VENV)/test.stamp $(MLFLOW_VENV)/mlflow.stamp
	$(LLAMA_BIN)/python -m pytest -o testpaths="$(LLAMA_TESTS)" $(SEVERAL) $(ARGS) $(MAY_BE_EMPTY)

lint: $(VENV)/lint.stamp
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -q $(TYPED)

bench: $(VENV)/python.stamp
	$(BIN)/python benchmarks/run.py --write docs/performance.md

clean:
	rm -rf $(VENV) $(LLAMA_VENV) $(MLFLOW_VENV) .tox benchmarks/.envs dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src plugins tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written when all before it has worked: what was interrupted is begun anew.
# pip is renewed because dependency groups need pip 25.1.
$(VENV)/python.stamp $(LLAMA_VENV)/python.stamp $(MLFLOW_VENV)/python.stamp:
	@command -v $(PYTHON) >/dev/null \
	  || { echo "There is no $(PYTHON). Say which Python: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed; %s is %d.%d. Say which one: make PYTHON=/path/to/python3.12" % ((sys.executable,) + tuple(sys.version_info[:2])))'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) has no venv or ensurepip. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Creating $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(PIP) install --upgrade "pip>=25.1"
	@touch $@

$(VENV)/autotrace.stamp: $(VENV)/python.stamp $(PROJECTS)
	@echo "Installing autotrace, its plugins and the newest version of what they trace"
	@$(PIP) install $(EDITABLE) --group langchain
	@touch $@

$(LLAMA_VENV)/autotrace.stamp: $(LLAMA_VENV)/python.stamp $(PROJECTS)
	@echo "Installing autotrace, its plugins and the newest LlamaIndex"
	@$(PIP) install $(LLAMA_EDITABLE) --group llama-index
	@touch $@

$(VENV)/test.stamp $(LLAMA_VENV)/test.stamp: %/test.stamp: %/autotrace.stamp
	@echo "Installing what the tests need"
	@$(PIP) install --group test $(EXAMPLES)
	@touch $@

# No test of LlamaIndex's environment needs what the examples of serving are tested with.
$(VENV)/test.stamp: EXAMPLES := --group examples

$(MLFLOW_VENV)/mlflow.stamp: $(MLFLOW_VENV)/python.stamp pyproject.toml
	@echo "Installing MLflow, its server and its client"
	@$(PIP) install --group mlflow
	@touch $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	@echo "Installing ruff, mypy and pyright"
	@$(PIP) install --group lint
	@touch $@
