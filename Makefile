# `make demo` and `make test` need python3 (3.11 to 3.14) and make, nothing else. uv is used where it is present.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
VOICE ?= samples/reference.wav
TEXT ?= Hello, this is the voice of the recording that you gave me.
MODEL ?= xtts_v2
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help pictures demo clone test check bench lock audit examples clean

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

# What makes and audits the lock; none of it is needed to run or to test.
$(VENV)/tools/.installed: Makefile
	$(PYTHON) -m venv $(VENV)/tools
	$(VENV)/tools/bin/python -m pip install -q uv==0.13.9 pip-audit==2.10.1
	@touch $@

lock: $(VENV)/tools/.installed  ## pin all packages with hashes, for every Python and system, in requirements.lock
	$(VENV)/tools/bin/uv --no-config pip compile -q requirements.txt --group dev --universal --python-version 3.11 \
		--generate-hashes --custom-compile-command "make lock" --no-emit-index-url --no-emit-find-links -o requirements.lock

# --strict: a package that the service does not know fails the audit; otherwise no answer would look like a good one.
audit: $(VENV)/tools/.installed  ## ask PyPI for known vulnerabilities of what is locked
	$(VENV)/tools/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

examples: $(VENV)/.installed  ## make the logs in logs/examples anew (full-size untrained model: minutes)
	$(PY) samples/make_logs.py

pictures: $(VENV)/.installed-dev  ## make the pictures of the README in docs anew (full-size untrained model, Chromium)
	$(PY) samples/make_pictures.py

clean:  ## take away what can be made again
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
