# JobMon. `make demo` and `make test` set up what they need; nothing else has to be done before them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTERS ?= 3
READY := $(VENV)/.ready
SOURCES := agent server console pki tests benchmarks docs

.PHONY: demo test soak mutants check format agent pictures bench golden lock clean

demo: $(READY)  ## a throw-away site on this machine, and the console on it
	$(BIN)/jobmon demo $(DEMO)

# Tests wait more than they compute: three at a time, each file's in one process.
test: $(READY)  ## every test that this machine can run
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile $(TESTS)

soak: $(READY)  ## long runs, not part of make test
	$(BIN)/python -m pytest tests/soak

mutants: $(READY)  ## break each of the agent's promises and see a test fail; half an hour, or MUTANTS="9 15b" alone
	$(BIN)/python tests/mutations/run.py $(MUTANTS)

check: $(READY)  ## format, lint, types, import rules, Python 3.6 for what travels
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vermin --target=3.6- --eval-annotations --no-tips -q agent
	! grep -n '://' constraints.txt

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

agent: $(READY)  ## the one-file agent for the worker nodes; PYTHONS="..." names theirs, else those on PATH
	$(BIN)/jobmon agent --out jobmond.pyz $(if $(PYTHONS),--python $(PYTHONS))

bench: $(READY)  ## what each part costs, beside the least that anything could; half an hour
	$(BIN)/python benchmarks/all.py

pictures: $(READY)  ## the documentation's pictures, made from the program itself
	$(BIN)/python docs/pictures.py

golden: $(READY)  ## draw the golden screens anew; then read what git says has changed
	JOBMON_GOLDEN=write $(BIN)/python -m pytest -q tests/console/tui/test_golden.py -k looks_as_it_did

lock: $(READY)  ## pin every dependency anew; hashes, no addresses
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes \
		--no-header --no-annotate --upgrade --quiet --output-file constraints.txt

# Two steps: pip refuses a hashed requirement file together with an editable package.
$(READY): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) dist jobmond.pyz
