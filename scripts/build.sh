#!/bin/sh
# Build the wheel and the source archive, then prove the wheel: install it in an environment of
# its own, with the locked versions of what it needs, and start the program.
set -eu

rm -rf dist
.venv/bin/python -m build --no-isolation
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements.txt
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
"$scratch/venv/bin/python" -m pip --disable-pip-version-check check
# From elsewhere, so that the checkout can't stand in for a file missing in the wheel.
(cd "$scratch" && venv/bin/dcsend --version)
# The page for browsers is in it, and is the one that was built.
"$scratch/venv/bin/dcsend" page -o "$scratch/page.html"
cmp "$scratch/page.html" web-receiver/dist/index.html
