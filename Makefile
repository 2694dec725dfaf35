# Runs edgenet from a clone. Everything is installed into .venv and written to build/; nothing else is changed.
#
#   PYTHON=python3.12   the Python to use, 3.10 to 3.13 (default: the first suitable of python3, python3.13, ...)
#   BUNDLE=folder       benchmark this bundle, packed or not; installs the device side alone (no TensorFlow; Python 3.10 to 3.14)
#   VENV=, BUILD=       other places for .venv and build (without spaces), for instance when this folder is read-only
#   EXPORT_FLAGS=       more options of `edgenet export`; likewise BENCHMARK_FLAGS and TRAIN_FLAGS
#
# What to export and benchmark instead of the bundled model; these are options of `edgenet export`:
#   WEIGHTS=imagenet ALPHA=0.75 SIZE=224, or WEIGHTS=file, or MODEL=file, with LABELS=file
#   CALIBRATION=folder EVALUATION=folder TRUTH=file
#
#   DATA=folder         photos in class folders, for `make train`

SHELL := /bin/sh
PYTHON ?=
VENV ?= .venv
BUILD ?= build
export VENV
EDGENET := $(VENV)/bin/edgenet
# From the command line only: environment variables of the same names are ignored.
MODEL :=
WEIGHTS :=
ALPHA :=
SIZE :=
LABELS :=
CALIBRATION :=
EVALUATION :=
TRUTH :=
DATA :=
OWN := $(MODEL)$(WEIGHTS)
# Quote a value for the shell.
quoted = '$(subst ','\'',$(1))'
option = $(if $($(1)), --$(2) $(call quoted,$($(1))))
OPTIONS := $(call option,MODEL,model)$(call option,WEIGHTS,weights)$(call option,ALPHA,alpha)$(call option,SIZE,size)
OPTIONS := $(OPTIONS)$(call option,LABELS,labels)$(call option,CALIBRATION,calibration)$(call option,EVALUATION,evaluation)
OPTIONS := $(OPTIONS)$(call option,TRUTH,truth)$(if $(EXPORT_FLAGS), $(EXPORT_FLAGS))
# The bundle is named after the model. Spaces and the like become underscores: make cannot handle them in file names.
NAME := $(if $(OWN),$(shell \
	model=$(call quoted,$(MODEL)); weights=$(call quoted,$(WEIGHTS)); \
	if [ -n "$$model" ]; then basename "$$model" | sed 's/\.[^.]*$$//'; \
	elif [ "$$weights" = imagenet ]; then echo "mobilenet_v1_$(or $(ALPHA),1)_$(or $(SIZE),224)"; \
	else basename "$$weights" | sed 's/\..*$$//'; fi | tr -c 'A-Za-z0-9._\n-' _),mobilenet_v1_0.5_96)
FOLDER := $(BUILD)/$(NAME)
SOURCES := $(shell find edgenet calibration_data -type f ! -name '*.pyc' ! -path 'edgenet/reporting/*' ! -path 'edgenet/cli/*' ! -path 'edgenet/phone/*')

# Rebuild if PYTHON or the options differ from those of the last build.
OTHER_PYTHON := $(if $(PYTHON),$(shell test "$$(cat $(VENV)/python 2>/dev/null)" = "$(PYTHON)" || echo FORCE))
OTHER_FLAGS := $(shell test "$$(cat $(FOLDER).flags 2>/dev/null)" = $(call quoted,$(OPTIONS)) || echo FORCE)
# make does not know what your own model depends on: `make export` always exports it again, `make benchmark` does not.
AGAIN := $(if $(OWN),$(if $(filter export,$(MAKECMDGOALS)),FORCE))

.PHONY: help export benchmark test web train lint lock clean FORCE

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

export: $(VENV)/laptop $(FOLDER)/manifest.json ## export the bundled model, or MODEL= or WEIGHTS=, to build/

benchmark: $(if $(BUNDLE),$(VENV)/device,export) ## measure latency and drift of the bundled model, or of BUNDLE=folder
	@$(EDGENET) benchmark "$(or $(BUNDLE),$(FOLDER))" --report $(BENCHMARK_FLAGS)

test: $(VENV)/laptop ## run the tests
	@$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile

web: $(or $(wildcard $(VENV)/laptop),$(VENV)/device) ## install LiteRT.js, for `edgenet serve` (needs npm)
	@.ci/web

train: $(VENV)/laptop ## train a model on DATA=folder, or the bundled one again (under 90 minutes)
	@$(EDGENET) train$(if $(DATA), $(call quoted,$(DATA))) --out "$(BUILD)/train$(if $(DATA),/$(shell basename $(call quoted,$(DATA))))" $(TRAIN_FLAGS)

lint: $(VENV)/laptop ## check style and types, the types for Windows too
	@$(VENV)/bin/ruff check -q . && $(VENV)/bin/ruff format -q --check .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/mypy --no-error-summary --platform win32 --no-warn-unreachable --cache-dir .mypy_cache/windows
	@echo "lint: no findings"

lock: $(VENV)/laptop ## pin the newest versions in requirements.lock
	@.ci/lock

clean: ## remove .venv and build/
	@rm -rf $(VENV) $(BUILD)

$(FOLDER)/manifest.json: $(SOURCES) $(OTHER_FLAGS) $(AGAIN) | $(VENV)/laptop
	@$(EDGENET) export --out "$(FOLDER)"$(OPTIONS)
	@printf '%s\n' $(call quoted,$(OPTIONS)) > "$(FOLDER).flags"

$(VENV)/laptop $(VENV)/device: requirements.lock pyproject.toml $(OTHER_PYTHON)
	@.ci/install $(@F) "$(PYTHON)"

FORCE:
