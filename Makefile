# The commands of edgenet. Everything is installed into .venv and written to build/; nothing else is touched.
#
#   PYTHON=python3.12   the Python to use (3.10 to 3.13)
#   BUNDLE=folder       benchmark this bundle; installs the device side alone (Python 3.10 to 3.14, no TensorFlow)
#   EXPORT_FLAGS=...    more options of `edgenet export`; likewise BENCHMARK_FLAGS and TRAIN_FLAGS

SHELL := /bin/sh
PYTHON ?= python3
MODEL := mobilenet_v1_0.5_96
DEFAULT_BUNDLE := build/$(MODEL)
EDGENET := .venv/bin/edgenet
PIP := .venv/bin/python -m pip --disable-pip-version-check --no-input install --only-binary :all:
SOURCES := $(shell find edgenet/model edgenet/export edgenet/images.py edgenet/bundled.py calibration_data -type f ! -name '*.pyc')

.PHONY: help export benchmark test train lint lock clean FORCE
.DELETE_ON_ERROR:

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

export: .venv/laptop $(DEFAULT_BUNDLE)/manifest.json ## make the .tflite files of the bundled model, in build/

benchmark: $(if $(BUNDLE),.venv/device,export) ## measure latency and drift of the bundled model, or of BUNDLE=folder
	@$(EDGENET) benchmark "$(or $(BUNDLE),$(DEFAULT_BUNDLE))" $(BENCHMARK_FLAGS)

test: .venv/laptop ## run the tests
	@.venv/bin/python -m pytest -q

train: .venv/laptop ## train the bundled model again, into build/train (under 90 minutes)
	@$(EDGENET) train $(TRAIN_FLAGS)

lint: .venv/laptop ## check the style of the code
	@.venv/bin/ruff check -q edgenet tests benchmarks && echo "lint: no findings"

lock: ## pin the newest versions in requirements.lock (needs uv)
	@.ci/lock

clean: ## remove build/ and .venv
	@rm -rf build .venv

$(DEFAULT_BUNDLE)/manifest.json: $(SOURCES) $(if $(EXPORT_FLAGS),FORCE)
	@$(EDGENET) export --out $(DEFAULT_BUNDLE) $(EXPORT_FLAGS)

# Each stamp is written last, so that what was broken off is done again.
.venv/python:
	@if ! command -v "$(PYTHON)" >/dev/null 2>&1; then \
	    echo "Error: expected Python 3.10 to 3.13, found no $(PYTHON); install it, or name another: make PYTHON=..." >&2; exit 1; fi
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $(if $(BUNDLE),14,13)))'; then \
	    echo "Error: expected Python 3.10 to 3.13, found $$("$(PYTHON)" --version 2>&1); name another: make PYTHON=..." >&2; exit 1; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "Error: expected a Python with venv, found $(PYTHON) without; install it (Debian: apt install python3-venv)" >&2; exit 1; fi
	@rm -rf .venv && "$(PYTHON)" -m venv .venv && touch $@

.venv/device: .venv/python requirements.lock pyproject.toml
	@echo "installing LiteRT, numpy and pillow into .venv"
	@sed '/^# The laptop side/,$$d' requirements.lock > .venv/device.txt
	@$(PIP) -q --require-hashes -r .venv/device.txt
	@$(PIP) -q --no-deps --no-build-isolation --editable .
	@touch $@

.venv/laptop: .venv/device
	@echo "installing TensorFlow and the tools into .venv (about 700 MB to download, once)"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

FORCE:
