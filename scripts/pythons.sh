#!/bin/sh
# Run the quick tests on CPython versions other than that of .venv: sh scripts/pythons.sh 3.12 3.13
# Each version gets an environment of its own with the locked tools, .venv-VERSION. A version that
# fails or is missing does not keep the others from being tested. Exits with 1 if one did.
set -u

versions=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}/versions

# Print the path of a version. It is started: the commands that pyenv puts into PATH fail for a
# version that is installed and not selected.
find_python() {
    for name in "python$1" "$versions/$1".*/bin/python; do
        if "$name" -c '' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

# Test one version.
run() {
    python=$(find_python "$1")
    if [ -z "$python" ]; then
        echo "python$1 was found neither in PATH nor in $versions" >&2
        return 1
    fi
    VENV=.venv-$1 PYTHON=$python sh scripts/venv.sh || return 1
    # One process: this runs beside the tests of browsers on the build machine. Tests of the sources
    # and documents have the same result on each version.
    ".venv-$1/bin/python" -m pytest -q -m "not full and not slow" tests dcsend \
        --ignore-glob="tests/test_architecture*.py" --ignore=tests/test_documents.py \
        --ignore=tests/test_promises.py --ignore=tests/test_protocol_document.py
}

status=0
for version in "$@"; do
    echo "quick tests on CPython $version"
    if ! run "$version"; then
        echo "quick tests on CPython $version: failed" >&2
        status=1
    fi
done
exit $status
