#!/bin/sh
# Make build/bench-venv with what dcsend is compared with and what draws the plots; do nothing when
# it is up to date. Apart from .venv, so that tests and dcsend meet nothing of it.
set -eu

venv=build/bench-venv
stamp=$venv/dcsend-stamp
# As in scripts/venv.sh: a virtual environment carries its absolute path.
wanted=$(pwd; cksum < bench/requirements.txt)

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi
echo "making $venv"
rm -f "$stamp"
# The Python of .venv has the module venv; scripts/venv.sh has looked for one.
.venv/bin/python -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r bench/requirements.txt
echo "$wanted" > "$stamp"
