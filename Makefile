# Every target but help and docker starts with tools/setup, which takes a few milliseconds when there is nothing to do.
SHELL := /bin/bash
bin := .venv/bin

.PHONY: help setup docker demo test lint format bench

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with simferry in it, and install R where it is missing
	@tools/setup

docker: ## make this machine able to run the container tests: installs and starts Docker
	@tools/docker

demo: setup ## run a real sweep on all cores and print its summary
	$(bin)/simferry run simulations/social_distancing/sweep.toml --fresh
	@echo
	$(bin)/simferry summary latest

test: ## run every test; those of containers where Docker is (make docker)
	@tools/setup boot cli doRNG doSNOW foreach furrr future.apply ggplot2 globals here iterators knitr lme4 pbapply plyr randomForest Rcpp reticulate rmarkdown RSQLite rstudioapi survival testthat tibble -- busybox g++ git octave-cli=octave pandoc ps=procps qpdf
	@case ",$$SIMFERRY_REQUIRE," in *[,\ ]docker[,\ ]*) tools/docker ;; esac
	@echo "test: about 30 minutes on two cores with Docker; the ten slowest tests are listed at the end"
	@$(bin)/python -m pytest -n 2 --durations=10

lint: ## check style, format and types; templates by cfn-lint, R code by lintr
	@tools/setup lintr
	@$(bin)/ruff check --quiet
	@$(bin)/ruff format --check --quiet || { echo "not formatted (above): make format"; exit 1; }
	@$(bin)/mypy
	@$(bin)/cfn-lint python/simferry/infra/templates/*.yaml
	@Rscript --vanilla tools/lint.R

format: setup ## put the Python files into ruff's format
	@$(bin)/ruff check --quiet --select I --fix
	@$(bin)/ruff format

bench: ## measure simferry and its peers side by side
	@tools/setup data.table future.apply -- octave-cli=octave
	@$(bin)/python benchmarks/run.py
