# Two commands a newcomer needs: `make demo` and `make test`. Both create .venv on first use.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
TEST_PROCESSES ?= 4
BENCHES := $(sort $(patsubst bench/%.py,%,$(filter-out bench/__init__.py bench/_%,$(wildcard bench/*.py))))

.PHONY: setup demo demo-kafka test check bench lock clean $(addprefix bench-,$(BENCHES))

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings editable_mode=compat -e .
	@touch $@

demo: setup
	@$(BIN)/roadcall demo $(ARGS)

demo-kafka: setup
	@scripts/apache-kafka run -- $(BIN)/roadcall demo --transport kafka $(ARGS)

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/test_tidy.py

test: check
	@$(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

bench: setup
	@failed=0; for b in $(BENCHES); do $(BIN)/python -m bench.$$b || failed=1; done; exit $$failed

$(addprefix bench-,$(BENCHES)): bench-%: setup
	@$(BIN)/python -m bench.$*

lock:
	@$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv
	@.venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	@rm -rf .venv build dist *.egg-info
