# Recipes for working on ftforensics. `just` runs the checks; `.ci/run` runs them from a fresh environment.

# Lint, types, layers, numbers and tests: what must pass before a commit.
default: check

check: lint types imports numbers test

# Style, and formatting without changing anything.
lint:
    python -m ruff check .
    python -m ruff format --check .

# Strict types of the whole package.
types:
    python -m mypy --strict ftforensics

# Rooms import downwards only.
imports:
    lint-imports

# The numbers in README.md, the model cards and docs/engines.md are those of the results files.
numbers:
    python bench/render_readme.py --check
    python bench/render_engines.py --check

# All tests, or some: `just test tests/trust -x`.
test *arguments:
    python -m pytest {{ arguments }}

# Put everything into shape.
fmt:
    python -m ruff check --fix .
    python -m ruff format .

# The whole story, into ./ftf-demo.
demo *arguments:
    ftf demo {{ arguments }}

# Measure the model on a folder of pictures and write the numbers where they are shown.
bench images:
    ftf bench robustness --images {{ images }} --out engines/ftf-1/bench.json
    ftf bench false-positives --images {{ images }} --out engines/ftf-1/bench.json
    ftf bench quality --images {{ images }} --out engines/ftf-1/bench.json
    ftf bench scan --images {{ images }} --out engines/ftf-1/bench.json
    python bench/render_readme.py

# Train the simulator, then the reader, on a folder of pictures; checkpoints go to ./runs.
train images:
    python -m ftforensics.train simulator --images {{ images }} --out runs/simulator.pt
    python -m ftforensics.train reader --images {{ images }} --out runs/reader.pt --simulator runs/simulator.pt
