# Two commands do everything on a fresh machine: `make demo` and `make test`. Works with GNU make 3.81 too.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := aiodata pgrest postgrest
# Two processes run the suite, each with a PostgreSQL of its own. Roles belong to a whole server: one process runs
# it on a server that is given, and one a part of the suite.
SHARED = $(if $(ARGS)$(DATABASE_URL),,--numprocesses 2 --dist loadscope --no-loadscope-reorder)
# The tests start a hundred servers; without its bytecode each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
BENCHMARKS = $(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/*.py))

.PHONY: demo test check format bench install install-demo peers clean

demo: install-demo  ## PostgreSQL, the server, the quickstart; stays until Ctrl-C. EXIT=1: ends after the quickstart
	@$(BIN)/python demo_project/demo.py $(if $(EXIT),--exit)

test: install peers check  ## everything that must hold
	@$(BIN)/pytest $(SHARED) $(ARGS)

check: install  ## style, types, layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install  ## make the style right
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: install  ## benchmarks, beside their limits
	@set -e; for benchmark in $(BENCHMARKS); do echo "== $$benchmark"; $(BIN)/python -m benchmarks.$$benchmark; done

# What is installed is written into stamps; they are newer than what they were made from when there is nothing to do.

install: $(VENV)/.installed
install-demo: $(VENV)/.installed-demo
peers: $(PEERS:%=.test/peers/%/.installed) .test/peers/postgrest-js/.modules

# pip comes last into a new environment: where it is, the making was not interrupted.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "make: Python 3.11 or later is needed; say which with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "make: the module venv is missing; on Debian run: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(BIN)/pip pyproject.toml
	@echo "-- installing into $(VENV) (some minutes, once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[embedded,server]'
	@touch $@

$(VENV)/.installed: $(BIN)/pip pyproject.toml requirements.txt
	@echo "-- installing into $(VENV) (some minutes, once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@ $(VENV)/.installed-demo

# The published clients need one another's opposites: each has an environment of its own. There is no wheel of the
# multidict that pgrest needs, and on a bare machine no compiler: it goes without its extension.
.test/peers/%/.installed: tests/peers/requirements-%.txt $(BIN)/pip
	@echo "-- installing the published $*"
	@$(BIN)/python -m venv .test/peers/$*
	@MULTIDICT_NO_EXTENSIONS=1 .test/peers/$*/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Node.js comes from a wheel too, so that nothing has to be there before.
.test/peers/postgrest-js/.modules: .test/peers/postgrest-js/.installed
	@PATH="$(CURDIR)/.test/peers/postgrest-js/bin:$$PATH" npm install --silent --no-audit --no-fund \
		--prefix .test/peers/postgrest-js @supabase/postgrest-js@2
	@touch $@

# The copy of PostgreSQL's programs is every clone's: a server that runs from it elsewhere would lose its files.
SHARED_COPY := /var/cache/aiodata-django

clean:  ## forget what was installed, the demo's data and the tests'
	@rm -rf $(VENV) .demo .test build dist *.egg-info
	@if [ -d $(SHARED_COPY) ]; then \
		echo "make: left is $(SHARED_COPY), which all clones share; when none is running: rm -r $(SHARED_COPY)"; fi
