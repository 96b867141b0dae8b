# Every target works by itself on a fresh machine with Python 3.11: it first builds .venv.
# Another interpreter: make PYTHON=/path/to/python3.11 test

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
SUPPLY := .supply-venv/.installed
RAY := .ray-venv/.installed

.PHONY: environment ray-environment lint test test-slow docs sbom audit wheels demo demo-dual clean

environment: $(INSTALLED)

$(INSTALLED): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 is needed, this is %d.%d: make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(VENV_PYTHON) -m pip check
	touch $(INSTALLED)

lint: environment
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m mypy

# Two files of tests at a time: most of the work of a test runs on one core.
test: environment lint
	$(VENV_PYTHON) -m pytest -m "not slow" --numprocesses=2 --dist=loadfile

# What .ci/slow runs whole jobs on Ray in.
ray-environment: $(RAY)

$(RAY): requirements-ray.txt requirements-scoring.txt
	$(PYTHON) -m venv .ray-venv
	.ray-venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-ray.txt
	touch $(RAY)

# Builds of all backbones and all recipes, the installed wheel, and other long tests.
test-slow: environment
	$(VENV_PYTHON) -m pytest -m slow

# The pages and the reference of the library as a site, in build/site; a broken link ends it. To
# look at it with its search: .venv/bin/python -m http.server --directory build/site
docs: environment
	$(VENV_PYTHON) -m mkdocs build  # With --quiet it would count no warning.

$(SUPPLY): requirements-supply.txt
	$(PYTHON) -m venv .supply-venv
	.supply-venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-supply.txt
	touch $(SUPPLY)

# Every package of .venv with its version and licence, in CycloneDX (docs/supply_chain.md).
sbom: environment $(SUPPLY)
	mkdir -p dist
	.supply-venv/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--output-file dist/sbom.cdx.json .venv

# Known vulnerabilities of all pins. A package that cannot be asked about is an error: not audited.
audit: $(SUPPLY)
	.supply-venv/bin/pip-audit --strict --disable-pip --require-hashes -r requirements_lock.txt

# Both distributions, to install anywhere: pip install dist/*.whl (docs/install.md).
wheels: environment
	rm -rf dist
	VAC_RELEASE=1 $(VENV_PYTHON) -m build --wheel --no-isolation --outdir dist .
	VAC_RELEASE=1 $(VENV_PYTHON) -m build --wheel --no-isolation --outdir dist distributions/scoring

demo: environment
	$(VENV_PYTHON) demo.py

demo-dual: environment
	$(VENV_PYTHON) demo_dual.py

# Back to a fresh clone; training runs (runs/) stay.
clean:
	rm -rf .venv .ray-venv .supply-venv .pytest_cache .ruff_cache .mypy_cache build dist demo_output demo_dual_output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
