#!/bin/sh
# Run the quick tests on CPython versions other than that of .venv: sh scripts/pythons.sh 3.12 3.13
# Each version gets an environment of its own with the locked tools, .venv-VERSION.
set -eu

for version in "$@"; do
    python=
    for name in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
        if "$name" -c '' 2>/dev/null; then
            python=$name
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "python$version was not found: neither in PATH nor below ${PYENV_ROOT:-$HOME/.pyenv}" >&2
        exit 1
    fi
    VENV=.venv-$version PYTHON=$python sh scripts/venv.sh
    echo "quick tests on $(".venv-$version/bin/python" --version)"
    ".venv-$version/bin/python" -m pytest -q --numprocesses=2 --dist=worksteal \
        -m "not full and not slow" tests dcsend
done
