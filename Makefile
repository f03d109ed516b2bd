# Each target sets up all that it needs on a machine with Python 3.11 or later and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo docs test clean

demo: .venv/demo
	$(BIN)/neuronym demo

docs: .venv/docs
	rm -rf docs/_build
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	$(BIN)/python docs/check_links.py docs/_build
	@echo 'open docs/_build/index.html'

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

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

clean:
	rm -rf .venv docs/_build docs/api docs/records neuronym-demo
