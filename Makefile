# make demo   everything on this machine, from nothing to a labelled picture
# make test   the quick tests; make test-long   the others; make check   format, lint, types, Python 3.8
# make secrets, make certs HOST=...   passwords and certificates of a server that is shared
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEVICE_PYTHON ?= python3.8
SOURCES := hyperhive common store model worker coordinator inference web
STAMP = $(VENV)/.$(1)-installed
# -n 4 on two cores: many tests wait for other processes. --dist loadfile: a file shares its servers.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Many containers set it. Then every process compiles all that it imports, and `import torch` takes
# twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long check secrets certs test-device test-arm64 compose-test check-deploy faults matrix bench clean

demo: $(call STAMP,all)
	$(BIN)/hyperhive demo

test: $(call STAMP,test)
	$(PYTEST) -m "not long"

# What takes minutes: studies from beginning to end, kills that are repeated, a home network.
test-long: $(call STAMP,test)
	$(PYTEST) -m long $(LONG_TESTS)

check: $(call STAMP,test)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/vermin --quiet --no-tips --violations --target=3.8- $(SOURCES)
	$(BIN)/python tests/support/limits.py

# For compose.yaml. Both need only a shell and openssl; docs/security.md says what they write.
# Only this user can read the files, so containers run as this user: Docker Compose reads it in .env.
secrets:
	@sh deploy/make-secrets.sh
	@grep -qs '^HYPERHIVE_USER=' .env || echo "HYPERHIVE_USER=$$(id -u):$$(id -g)" >>.env

# HOST="192.168.1.10 coordinator.local": this machine's names, as the devices use them.
certs:
	@sh deploy/make-certs.sh $(HOST)

# Old devices have Python 3.8. This tests what runs on a device with torch 1.13 (constraints-device.txt),
# and with torch 1.11 and the oldest of all other packages (constraints-floor.txt). It also runs a study
# whose worker has that Python and whose coordinator has this one. mongod comes from .venv.
LANES ?= device floor
DEVICE_TESTS ?= tests/store tests/unit/test_worker_*.py tests/unit/test_model_*.py \
  tests/unit/test_inference_*.py --ignore tests/store/test_embedded.py
test-device: $(call STAMP,test) $(LANES:%=.venv-%/.installed)
	mongod=$$($(BIN)/python -c 'from hyperhive.store.server.binary import find_mongod as f; print(f().parent)') && \
	for lane in $(LANES); do \
	  PATH="$$mongod:$$PATH" .venv-$$lane/bin/python -m pytest -n 3 --dist loadfile $(DEVICE_TESTS) && \
	  HYPERHIVE_DEVICE_PYTHON=$(CURDIR)/.venv-$$lane/bin/python $(BIN)/python -m pytest \
	    tests/acceptance/test_fleet.py tests/unit/test_inference_models.py -k "old_python or old_torch" \
	    || exit 1; \
	done

# A worker on an emulated arm64. Needs root and half an hour; docs/jetson.md has the output.
test-arm64: $(call STAMP,test)
	bash tests/arm64.sh $(CURDIR)/$(BIN)/python

# Checks Dockerfiles, compose.yaml, the Kubernetes manifest and shell scripts with their own tools.
check-deploy: $(call STAMP,deploy)
	$(BIN)/hadolint Dockerfile docs/jetson/Dockerfile
	$(BIN)/shellcheck deploy/*.sh deploy/slurm/*.sbatch tests/*.sh
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml
	HYPERHIVE_USER=1000:1000 $(BIN)/docker-compose --profile '*' config --quiet

# Runs compose.yaml, as root, with podman and replaced images: docs/fleet.md says what it needs.
compose-test: $(call STAMP,test) $(call STAMP,deploy)
	$(BIN)/python tests/compose/compose_run.py

# The long form of the fault suite takes an hour, and writes the tables of docs/reliability.md.
faults: $(call STAMP,test)
	SEED=$(SEED) $(BIN)/python -m pytest -s tests/faults/long_form.py

# Tests hyperopt's API with many versions of Python (pyenv's), hyperopt and PyMongo, and writes a table
# of docs/hyperopt.md.
matrix: $(call STAMP,test)
	$(BIN)/python tests/hyperopt/matrix.py

# Measures beside the peers, and writes docs/benchmarks.md; ONLY="dispatch start" renews some sections.
bench: $(call STAMP,test) .venv-peers/.installed .venv-peers-hyperopt/.installed
	$(BIN)/python benchmarks/report.py $(ONLY)

# --no-compile: most of what PyTorch brings is never imported. The rest is compiled once, when it is
# first imported.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.%-installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --constraint constraints.txt --editable '.[$*]'
	@touch $@

# Built once: pip builds in this folder, where two builds at once, or files of an earlier one, do harm.
build/wheel/.built: pyproject.toml | $(VENV)/bin/python
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	@touch $@

.venv-%/.installed: build/wheel/.built constraints-%.txt
	$(DEVICE_PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --constraint constraints-$*.txt torch build/wheel/*.whl \
	  httpx hypothesis onnx opencv-python-headless paho-mqtt pytest pytest-timeout pytest-xdist scikit-learn starlette \
	  trustme uvicorn
	@touch $@

# What benchmarks/ compares with. It needs none of our packages.
.venv-peers/.installed: constraints-peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --constraint constraints-peers.txt optuna
	@touch $@

# hyperopt's own workers need an old PyMongo.
.venv-peers-hyperopt/.installed: constraints-peers-hyperopt.txt
	$(PYTHON) -m venv .venv-peers-hyperopt
	.venv-peers-hyperopt/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --constraint constraints-peers-hyperopt.txt hyperopt pymongo
	@touch $@

clean:
	rm -rf $(VENV) .venv-device .venv-floor .venv-peers .venv-peers-hyperopt build *.egg-info
