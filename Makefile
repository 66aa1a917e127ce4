# `make demo` and `make test` need python3 (3.11 to 3.14) and make, nothing else. uv is used where it is present.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
VOICE ?= samples/reference.wav
TEXT ?= Hello, this is the voice of the recording that you gave me.
MODEL ?= xtts_v2
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo clone test check bench examples clean

help:  ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo '  make clone TEXT="Hello" VOICE=me.wav [MODEL=rehearsal-tiny]'

# The run-time packages, and after them what tests and linters need.
$(VENV)/.installed: requirements.txt
	$(if $(UV),uv venv -q --allow-existing --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
	$(if $(UV),uv pip install -q --python $(PY) -r requirements.txt,$(PY) -m pip install -q --upgrade "pip>=25.1" && $(PY) -m pip install -q -r requirements.txt)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	$(if $(UV),uv pip install -q --python $(PY) --group dev,$(PY) -m pip install -q --group dev)
	@touch $@

demo: $(VENV)/.installed  ## improve the bundled sample, clone its voice with the model that is here
	$(PY) samples/demo.py

clone: $(VENV)/.installed  ## speak TEXT in the voice of VOICE
	$(PY) simple_voice_clone.py --text "$(TEXT)" --voice "$(VOICE)" --model "$(MODEL)"

test: $(VENV)/.installed-dev  ## run all tests
	$(PY) -m pytest -q

check: $(VENV)/.installed-dev  ## run the linters
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(VENV)/.installed-dev  ## measure beside coqui-tts (builds a 1.9 GB untrained model first; minutes)
	$(PY) bench/preprocess.py
	$(PY) bench/instrumentation.py
	$(PY) bench/speed.py

examples: $(VENV)/.installed  ## make the logs in logs/examples anew (full-size untrained model: minutes)
	$(PY) samples/make_logs.py

clean:  ## take away what can be made again
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
