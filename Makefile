# make demo: sets up and gives the demo clip its sound.  make test: sets up and passes the tests.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := src tests benchmarks recipes

.PHONY: demo test full lint check format clean

demo: .venv/ready
	$(BIN)/reasound foley examples/bigbuckbunny.mp4 -o out/demo --force --caption "$$(cat examples/bigbuckbunny.txt)"
	$(BIN)/reasound foley examples/drop.mp4 -o out/drop --force --caption "$$(cat examples/drop.txt)"
	@echo "Play out/demo.mp4 and out/drop.mp4"

test: .venv/ready
	$(BIN)/python -m pytest

full: .venv/ready
	$(BIN)/python -m pytest -m full

lint: .venv/ready
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy

check: lint test

format: .venv/ready
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# torch first and pinned: a newer one, taken by itself, brings gigabytes for graphics cards.
.venv/ready: pyproject.toml constraints.txt models/reasound-pocket/pyproject.toml models/reasound-sounds/pyproject.toml \
		models/reasound-benchmark/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt \
		-e models/reasound-pocket -e models/reasound-sounds -e models/reasound-benchmark -e '.[dev]'
	mkdir -p out
	touch $@

clean:
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache
