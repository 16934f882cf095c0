# Everything a target needs is set up by the target itself: Python 3.11+, pip, make and git are enough.
PYTHON ?= python3
BIN := .venv/bin
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test chaos studies results docs bench lint format hooks clean
demo: .venv/.ready
	$(BIN)/python run.py demo

test: .venv/.ready
	$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

# The whole of what `make test` runs a part of: every scheduler and every store of version 1, killed; about 15 minutes.
chaos: .venv/.ready
	TUNE_AT_CHAOS=whole $(BIN)/python -m pytest -s tests/tuning/test_chaos.py tests/tuning/test_complete_runs.py tests/stores

# Every study's laptop preset, its probes and evaluations, into runs/studies; interrupted, the same command goes on.
studies: .venv/.ready
	$(BIN)/python run.py studies $(NAMES)

# Every page as a site, site/index.html; asks nothing of a network, and a warning is a failure.
docs: .venv/.ready
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs site
	@echo site/index.html

# Pages docs/results/*.md from all presets laptop, and from all presets cifar where TUNE_AT_DATA names CIFAR: two hours.
results: .venv/.ready
	$(BIN)/python run.py studies
	test -z "$$TUNE_AT_DATA" || $(BIN)/python run.py studies --preset cifar
	$(BIN)/python -m tools.results runs/studies

# Against a textbook way, goal beside measured, each case by three processes: some two hours on two cores. CASES="digits
# --save" writes benchmarks/results/; without it nothing is written.
bench: .venv/.ready
	$(BIN)/python -m benchmarks $(CASES)

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What `make lint` looks at, before each commit.
hooks: .venv/.ready
	$(BIN)/pre-commit install

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is older than Python 3.11; name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "Setting up .venv (PyTorch and Ray are large: minutes on a slow line) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv build site *.egg-info .mypy_cache .ruff_cache .pytest_cache
