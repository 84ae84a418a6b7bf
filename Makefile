# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Torch first, pinned: as another package's dependency it would come as its largest build.
TORCH := $(shell grep '^torch==' constraints.txt)
# pip compiles a hundred packages on one core, a minute's work: all cores do it afterwards. What is no module of this Python
# (templates, another Python's) fails to, as it does in pip, and harms nobody.
INSTALL := $(BIN)/pip install -q --no-compile
COMPILE := $(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true

# Every test worker, and every command that a test starts, imports hundreds of modules: they are compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-full explore bench docs mutants audit lint clean

demo: $(VENV)/installed_demo
	$(BIN)/optscale demo --output demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The site is part of the full tier, and what builds it is installed for it alone.
test-full: $(VENV)/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/python -m pytest -m "full or not full" --hypothesis-profile=explore

# Properties by themselves, each before a thousand examples that are others each time.
explore: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "hypothesis and not full" --hypothesis-profile=explore

# Every benchmark that can run here, at a small size, against its baseline: benchmarks/RESULTS.md. BENCH names what is not
# in this environment: make bench BENCH='--vllm_python PYTHON --its_hub PYTHON --optillm PYTHON --data FOLDER'
bench: $(VENV)/installed
	$(BIN)/python benchmarks/run_all.py $(BENCH)

# The documentation site, in build/site; a warning fails it, such as a link that leads nowhere.
docs: $(VENV)/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Changes that no test notices, in all modules that pyproject.toml lists, or in those that MUTANTS names:
# make mutants MUTANTS='optscale_predictor.stats.bound*'
mutants: $(VENV)/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[mutation]'
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/python benchmarks/mutation_table.py

# Known vulnerabilities of the versions in constraints.txt, where a database can be reached; SECURITY.md says what it records.
audit: $(VENV)/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[audit]'
	$(BIN)/python audit/run_audit.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) $(TORCH)
	$(INSTALL) -c constraints.txt -e '.[dev]'
	$(COMPILE)
	touch $(VENV)/installed_demo $@

# What the demo needs is two thirds of what development does.
$(VENV)/installed_demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) $(TORCH)
	$(INSTALL) -c constraints.txt -e '.[demo]'
	$(COMPILE)
	touch $@

clean:
	rm -rf $(VENV) demo
