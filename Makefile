# The interpreter that makes .venv: 3.11 or later.
PYTHON ?= python3
# Given to pytest by `make test`, for instance: make test ARGS="tests/signin -k postpone"
ARGS ?=

BIN := .venv/bin
BOOTSTRAP := $(PYTHON) -m tools.bootstrap
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-long check format screenshots

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run the provider with two demo applications and a mailbox, installing what that needs
	@$(BOOTSTRAP) demo
	@exec $(BIN)/idp demo

serve: ## Run the provider alone, with the settings of the environment (IDP_...)
	@$(BOOTSTRAP) demo
	@exec $(BIN)/idp serve

test: ## Run the tests, installing what they need (ARGS="..." goes to pytest)
	@$(BOOTSTRAP) test
	@$(PYTEST) $(ARGS)

test-long: ## Run the tests with the long ones (many examples, many rounds, real waiting)
	@$(BOOTSTRAP) test
	@IDP_TEST_LONG=1 $(PYTEST) $(ARGS)

check: ## Run the linters, the type checker and the rules about layers and templates
	@$(BOOTSTRAP) check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict idp tools tests/services clients/python/idp_kit
	$(BIN)/lint-imports
	$(BIN)/python -m tools.template_lint

format: ## Put the code in the form that `make check` wants
	@$(BOOTSTRAP) check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: ## Draw every page in every state, and write docs/gallery.md
	@$(BOOTSTRAP) test
	@$(BIN)/python -m tools.screenshots
