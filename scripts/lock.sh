#!/bin/sh
# Write every list of locked packages anew, with the digests of their files: the newest allowed
# versions of what pyproject.toml asks for, for Python 3.11 to 3.14 on every system.
set -eu

new=$(mktemp)
trap 'rm -f "$new"' EXIT

# lock FILE ARGUMENTS…: of `uv pip compile`
lock() {
    file=$1
    shift
    echo "# Written by \`make lock\` from pyproject.toml; do not edit." > "$new"
    # No header, no index: neither this machine nor its mirror belongs into the file. With extras:
    # pip 23.2 refuses `autobahn==1` as the locked version of `autobahn[twisted]` if it is not the
    # newest one.
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-strip-extras \
        "$@" >> "$new"
    cat "$new" > "$file"
}

lock requirements-dev.txt --group dev pyproject.toml
# What dcsend itself needs, in the same versions.
lock requirements.txt --constraints requirements-dev.txt pyproject.toml
lock tests/fuzz/requirements.txt --constraints requirements-dev.txt --group fuzz
lock bench/requirements.txt --group bench
