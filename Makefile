# Short names for the usual commands. `make` or `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help test test-fast check repro docs

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: ## all tests
	pytest

test-fast: ## the quick tests of every room
	pytest -m "not slow"

check: ## format, lint, imports between rooms, types, documentation
	bash .ci/check

repro: ## run what changed of the pipeline
	dvc repro

docs: ## build the documentation into build/docs; warnings are errors
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
