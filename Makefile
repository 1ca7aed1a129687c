# Two commands matter: `make demo` and `make test`. Each installs what it needs first (a bare Debian 12
# with Python 3.11 is enough) and does nothing twice: a stamp remembers what was installed from what.
.PHONY: demo test install test-tools check unit fuzz chaos bench binary clean
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
PYTEST_ARGS ?=
# Most end-to-end tests wait for other programs: more at once than there are processors.
TESTS_AT_ONCE ?= 4
# `make chaos` ends after so many kills, or so many minutes (0: never). SEED repeats the choices of a run.
KILLS ?= 600
MINUTES ?= 10
SEED ?= 0
CHAOS_ARGS ?=
# Seconds of `make fuzz`, in all.
FUZZ_SECONDS ?= 600

demo: $(VENV)/.installed $(VENV)/.demo-tools
	$(BIN)/python -m hardware.demo $(DEMO_ARGS)

test: check
	$(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadfile --durations 15 --cov --cov-report term:skip-covered $(PYTEST_ARGS)

check: $(VENV)/.installed $(VENV)/.test-tools
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(VENV)/.installed
	$(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadfile -m "not e2e and not browser and not root and not chaos" \
		$(PYTEST_ARGS)

fuzz: $(VENV)/.installed
	TEACHPOINT_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest tests/fuzz $(PYTEST_ARGS)

chaos: $(VENV)/.installed $(VENV)/.test-tools
	$(BIN)/python -m tests.e2e.chaos --kills $(KILLS) --minutes $(MINUTES) --seed $(SEED) $(CHAOS_ARGS)

install: $(VENV)/.installed

test-tools: $(VENV)/.test-tools

bench: $(VENV)/.installed $(VENV)/.test-tools
	$(BIN)/python -m bench

binary: dist/teachpoint

dist/teachpoint: $(VENV)/.installed build.spec teachpoint.py $(shell git ls-files edge sync kiosk_ui hardware)
	$(BIN)/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build build.spec

$(VENV)/.installed: requirements.lock pyproject.toml hardware/setup/install.sh hardware/setup/packages-run \
		hardware/setup/browser/package-lock.json
	hardware/setup/install.sh run $(VENV)

$(VENV)/.demo-tools: $(VENV)/.installed hardware/setup/packages-demo
	hardware/setup/install.sh demo $(VENV)

$(VENV)/.test-tools: $(VENV)/.installed hardware/setup/packages-demo hardware/setup/packages-test
	hardware/setup/install.sh demo $(VENV)
	hardware/setup/install.sh test $(VENV)

clean:
	rm -rf build dist .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
