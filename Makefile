# The commands of edgenet. Everything is installed into .venv and written to build/; nothing else is touched.
#
#   PYTHON=python3.12   the Python to use, 3.10 to 3.13 (default: the first of python3, python3.13, ... that will do)
#   BUNDLE=folder       benchmark this bundle, packed or not; installs the device side alone (no TensorFlow; Python 3.10 to 3.14)
#   VENV=, BUILD=       other places for .venv and build (without spaces), for instance when this folder is read-only
#   EXPORT_FLAGS=       more options of `edgenet export`; likewise BENCHMARK_FLAGS and TRAIN_FLAGS
#
# What to export and to benchmark, if not the bundled model; the options of `edgenet export` in capitals:
#   WEIGHTS=imagenet ALPHA=0.75 SIZE=224, or WEIGHTS=file, or MODEL=file, with LABELS=file
#   CALIBRATION=folder EVALUATION=folder TRUTH=file

SHELL := /bin/sh
PYTHON ?=
VENV ?= .venv
BUILD ?= build
export VENV
EDGENET := $(VENV)/bin/edgenet
# Said on the command line, or nothing: never what an environment happens to call so.
MODEL :=
WEIGHTS :=
ALPHA :=
SIZE :=
LABELS :=
CALIBRATION :=
EVALUATION :=
TRUTH :=
OWN := $(MODEL)$(WEIGHTS)
# A value for the shell, whatever is in it.
quoted = '$(subst ','\'',$(1))'
said = $(if $($(1)), --$(2) $(call quoted,$($(1))))
ASKED := $(call said,MODEL,model)$(call said,WEIGHTS,weights)$(call said,ALPHA,alpha)$(call said,SIZE,size)
ASKED := $(ASKED)$(call said,LABELS,labels)$(call said,CALIBRATION,calibration)$(call said,EVALUATION,evaluation)
ASKED := $(ASKED)$(call said,TRUTH,truth)$(if $(EXPORT_FLAGS), $(EXPORT_FLAGS))
# The bundle: named after the model; make itself knows no names with spaces.
NAME := $(if $(OWN),$(shell \
	model=$(call quoted,$(MODEL)); weights=$(call quoted,$(WEIGHTS)); \
	if [ -n "$$model" ]; then basename "$$model" | sed 's/\.[^.]*$$//'; \
	elif [ "$$weights" = imagenet ]; then echo "mobilenet_v1_$(or $(ALPHA),1)_$(or $(SIZE),224)"; \
	else basename "$$weights" | sed 's/\..*$$//'; fi | tr -c 'A-Za-z0-9._\n-' _),mobilenet_v1_0.5_96)
FOLDER := $(BUILD)/$(NAME)
SOURCES := $(shell find edgenet calibration_data -type f ! -name '*.pyc' ! -path 'edgenet/reporting/*' ! -path 'edgenet/cli/*' ! -path 'edgenet/phone/*')

# Asked for now, and not what was asked for when it was made: make it again.
OTHER_PYTHON := $(if $(PYTHON),$(shell test "$$(cat $(VENV)/python 2>/dev/null)" = "$(PYTHON)" || echo FORCE))
OTHER_FLAGS := $(shell test "$$(cat $(FOLDER).flags 2>/dev/null)" = $(call quoted,$(ASKED)) || echo FORCE)
# Nobody knows what an own model's files depend on: `make export` makes them again, `make benchmark` does not.
AGAIN := $(if $(OWN),$(if $(filter export,$(MAKECMDGOALS)),FORCE))

.PHONY: help export benchmark test web train lint lock clean FORCE

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

export: $(VENV)/laptop $(FOLDER)/manifest.json ## make the .tflite files of the bundled model, in build/; or of MODEL=, WEIGHTS=

benchmark: $(if $(BUNDLE),$(VENV)/device,export) ## measure latency and drift of the bundled model, or of BUNDLE=folder
	@$(EDGENET) benchmark "$(or $(BUNDLE),$(FOLDER))" --report $(BENCHMARK_FLAGS)

test: $(VENV)/laptop ## run the tests
	@$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile

web: $(or $(wildcard $(VENV)/laptop),$(VENV)/device) ## install LiteRT.js, for `edgenet serve` (needs npm)
	@.ci/web

train: $(VENV)/laptop ## train the bundled model again, into build/train (under 90 minutes)
	@$(EDGENET) train --out $(BUILD)/train $(TRAIN_FLAGS)

lint: $(VENV)/laptop ## check the style of the code
	@$(VENV)/bin/ruff check -q . && $(VENV)/bin/ruff format -q --check . && echo "lint: no findings"

lock: $(VENV)/laptop ## pin the newest versions in requirements.lock
	@.ci/lock

clean: ## remove .venv and build/
	@rm -rf $(VENV) $(BUILD)

$(FOLDER)/manifest.json: $(SOURCES) $(OTHER_FLAGS) $(AGAIN) | $(VENV)/laptop
	@$(EDGENET) export --out "$(FOLDER)"$(ASKED)
	@printf '%s\n' $(call quoted,$(ASKED)) > "$(FOLDER).flags"

$(VENV)/laptop $(VENV)/device: requirements.lock pyproject.toml $(OTHER_PYTHON)
	@.ci/install $(@F) "$(PYTHON)"

FORCE:
