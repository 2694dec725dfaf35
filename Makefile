# The commands of edgenet. Everything is installed into .venv and written to build/; nothing else is touched.
#
#   PYTHON=python3.12   the Python to use, 3.10 to 3.13 (default: the first of python3, python3.13, ... that will do)
#   BUNDLE=folder       benchmark this bundle; installs the device side alone (no TensorFlow; Python 3.10 to 3.14)
#   VENV=, BUILD=       other places for .venv and build (without spaces), for instance when this folder is read-only
#   EXPORT_FLAGS=       more options of `edgenet export`; likewise BENCHMARK_FLAGS and TRAIN_FLAGS

SHELL := /bin/sh
PYTHON ?=
VENV ?= .venv
BUILD ?= build
export VENV
MODEL := $(BUILD)/mobilenet_v1_0.5_96
EDGENET := $(VENV)/bin/edgenet
SOURCES := $(shell find edgenet calibration_data -type f ! -name '*.pyc' ! -path 'edgenet/report/*' ! -path 'edgenet/commands/*' ! -name cli.py)

# Asked for now, and not what was asked for when it was made: make it again.
OTHER_PYTHON := $(if $(PYTHON),$(shell test "$$(cat $(VENV)/python 2>/dev/null)" = "$(PYTHON)" || echo FORCE))
OTHER_FLAGS := $(shell test "$$(cat $(MODEL).flags 2>/dev/null)" = '$(EXPORT_FLAGS)' || echo FORCE)

.PHONY: help export benchmark test train lint lock clean FORCE

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

export: $(VENV)/laptop $(MODEL)/manifest.json ## make the .tflite files of the bundled model, in build/

benchmark: $(if $(BUNDLE),$(VENV)/device,export) ## measure latency and drift of the bundled model, or of BUNDLE=folder
	@$(EDGENET) benchmark "$(or $(BUNDLE),$(MODEL))" $(BENCHMARK_FLAGS)

test: $(VENV)/laptop ## run the tests
	@$(VENV)/bin/python -m pytest -q

train: $(VENV)/laptop ## train the bundled model again, into build/train (under 90 minutes)
	@$(EDGENET) train --out $(BUILD)/train $(TRAIN_FLAGS)

lint: $(VENV)/laptop ## check the style of the code
	@$(VENV)/bin/ruff check -q . && $(VENV)/bin/ruff format -q --check . && echo "lint: no findings"

lock: $(VENV)/laptop ## pin the newest versions in requirements.lock
	@.ci/lock

clean: ## remove .venv and build/
	@rm -rf $(VENV) $(BUILD)

$(MODEL)/manifest.json: $(SOURCES) $(OTHER_FLAGS) | $(VENV)/laptop
	@$(EDGENET) export --out $(MODEL) $(EXPORT_FLAGS)
	@printf '%s\n' '$(EXPORT_FLAGS)' > $(MODEL).flags

$(VENV)/laptop $(VENV)/device: requirements.lock pyproject.toml $(OTHER_PYTHON)
	@.ci/install $(@F) "$(PYTHON)"

FORCE:
