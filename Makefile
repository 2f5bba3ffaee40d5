# `make repro` makes the default job, `make test` checks the project; both make their own .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
# what pip is told elsewhere must not put packages beside the venv
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT

.PHONY: repro look report explore analyses oneclass frontier study all test test-faults test-cluster check bench ui audit lock clean
# two of the goals must not write to DVC's files at once
.NOTPARALLEL:

repro: $(VENV)/.study
	latentlab repro
	latentlab sync

# one run alone: VARIANT-DATASET-RECIPE-SEED
RUN ?= stacked_64-mnist-fast-0

look: $(VENV)/.study
	latentlab repro evaluate@$(RUN) probe@$(RUN)
	latentlab sync $(firstword $(subst -, ,$(RUN)))

report: $(VENV)/.study
	latentlab repro report

# the page in which people play with the models, reports/mnist/explorer.html: open it in a browser
explore: $(VENV)/.study
	latentlab repro explore

# what is measured of the selected runs beyond the default job, then the claims
analyses: $(VENV)/.study
	latentlab repro analyses/dvc.yaml
	latentlab sync

# for each class an autoencoder that has seen it alone, and how well it tells the others: a quarter of an hour
oneclass: $(VENV)/.study
	latentlab repro analyses/oneclass/dvc.yaml

# the best variants of our own for each latent dimension: an hour
frontier: $(VENV)/.study
	latentlab repro analyses/frontier/dvc.yaml
	latentlab sync

# the search, then what it has found, which is known only after it: see study/dvc.yaml; again after Ctrl-C it goes on
study: $(VENV)/.study
	latentlab repro study/dvc.yaml:study
	latentlab repro study/dvc.yaml
	latentlab sync

all: repro analyses study

test: $(VENV)/.test
	pytest -m "not faults and not cluster"

test-faults: $(VENV)/.test
	pytest -m faults tests/faults

# on Debian, as root where its packages are not there yet
test-cluster: $(VENV)/.cluster
	tests/cluster/install.sh tests
	pytest -m "cluster and not slow" --numprocesses 4 tests/cluster # which wait more than they compute

check: $(VENV)/.test
	ruff format --check .
	ruff check .
	mypy & pytest -m "not slow and not faults and not cluster"; tests=$$?; wait $$! && exit $$tests

# on a machine that has nothing else to do; `latentlab bench --help` has its options
bench: $(VENV)/.study
	latentlab repro download
	latentlab bench

ui: $(VENV)/.study
	latentlab ui --port $(or $(PORT),5000)

# known weaknesses of the locked versions, by a database on the internet; in a venv of its own, as it has dependencies too
audit: $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --disable-pip --require-hashes --requirement requirements-test.lock

# newest versions that fit together; `pip install uv` first
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade \
		pyproject.toml --output-file requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra test --constraint requirements.lock pyproject.toml --output-file requirements-test.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra cluster --constraint requirements.lock pyproject.toml --output-file requirements-cluster.lock

# what `make` and the study made, but neither the results in git nor the runs in mlruns/
clean:
	rm -rf $(VENV) .venv-cluster dvc_plots .mypy_cache .pytest_cache .ruff_cache .hypothesis src/latentlab.egg-info
	find benchmarks src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is too old: latentlab needs Python 3.11 or newer (make PYTHON=python3.12 ...)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.study: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.study
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-test.lock
	touch $@

$(VENV)/.cluster: requirements-cluster.lock $(VENV)/.test
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-cluster.lock
	touch $@
