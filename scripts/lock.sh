#!/bin/sh
# Write requirements-dev.txt anew: the newest allowed versions of everything that dcsend and its
# tools need, for Python 3.11 to 3.14 on every system.
set -eu

lock=requirements-dev.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
new=$(mktemp)
trap 'rm -f "$new"' EXIT
echo "# Written by \`make lock\` from pyproject.toml; do not edit." > "$new"
# No header, no index: neither this machine nor its mirror belongs into the file.
.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --group dev pyproject.toml >> "$new"
cat "$new" > "$lock"
