#!/bin/sh
# Make .venv with the locked tools and dcsend itself in it; do nothing when it is up to date.
# Needs Python 3.11 or newer, nothing else. PYTHON=... names a certain one, VENV=... another folder.
set -eu

venv=${VENV:-.venv}
stamp=$venv/dcsend-stamp
# A symbolic link leads to the environment of another work tree: it is used as it is, never cleared.
if [ -L "$venv" ]; then
    exit 0
fi
# Scripts in a virtual environment carry its absolute path, so a moved checkout needs a new one.
wanted=$(pwd; cat requirements-dev.txt pyproject.toml | cksum)

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

# Asked by running it: the name alone says little (version managers put names in the path that
# only print an error).
python=
bare=
for name in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        bare=${bare:-$name}
        # Debian packs these two modules apart from Python.
        if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            python=$name
            break
        fi
    fi
done
if [ -z "$python" ] && [ -n "$bare" ]; then
    echo "$bare has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2
    exit 1
fi
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed, with venv (Debian, Ubuntu: apt-get install python3 python3-venv); PYTHON=... names one that is not found" >&2
    exit 1
fi

echo "making $venv with $("$python" --version)"
rm -f "$stamp"
"$python" -m venv --clear "$venv"
# Most installed modules are never imported: each is compiled at its first import. The list is
# complete, so there are no dependencies to look for, which would take a sixth of the time.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
    --require-hashes -r requirements-dev.txt
# Without the build hook: `make page` builds the page, and the hook would fetch Node.js for it. With
# the locked hatchling, not with one that is fetched for this.
HATCH_BUILD_NO_HOOKS=true "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps --no-build-isolation -e .
echo "$wanted" > "$stamp"
