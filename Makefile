# Set-up happens by itself: every target that needs the environment depends on its stamp.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS ?= dev,benchmarks,cluster

.DEFAULT_GOAL := help
.PHONY: help lab compare test check format docs constraints clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

lab: $(STAMP) ## Open the book in JupyterLab
	$(BIN)/labcore lab

compare: $(STAMP) ## Measure the checkout under three concurrency models and write a report
	$(BIN)/labcore compare checkout --quick

test: $(STAMP) ## Run every test
	$(BIN)/python -m pytest

check: $(STAMP) ## Format, lint, floors, types, spelling, notebooks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/codespell labcore servers tests notebooks docs README.md CHANGELOG.md data/README.md
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb

format: $(STAMP) ## Format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## Renew the documents that are made from the code
	$(BIN)/python docs/renew.py

constraints: $(STAMP) ## Pin what is installed now
	@(head -2 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable) > constraints.new && mv constraints.new constraints.txt

clean: ## Remove the environment, caches and recordings
	rm -rf $(VENV) runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
