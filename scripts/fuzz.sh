#!/bin/sh
# Fuzz one parser of dcsend, or each in turn, guided by coverage, in an environment of its own: atheris
# has no place among the tools that everybody installs.
#
#     sh scripts/fuzz.sh [TARGET] [SECONDS]
#
# TARGET is a name in tests/fuzz/targets.py; without it, all of them. What is found lies in .fuzz,
# and the inputs that reached something new in .fuzz/corpus/TARGET.
set -eu

targets=${1:-$(sed -n 's/^    "\([a-z]*\)": "tests\.fuzz.*/\1/p' tests/fuzz/targets.py)}
seconds=${2:-600}

if ! .fuzz/bin/python -c 'import atheris, aiortc, aiohttp, typer' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv --clear .fuzz
    .fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements.txt -r tests/fuzz/requirements.txt
fi
for target in $targets; do
    mkdir -p ".fuzz/corpus/$target" "tests/fuzz/corpus/$target"
    echo "$target, for $seconds s"
    .fuzz/bin/python tests/fuzz/fuzz.py "$target" ".fuzz/corpus/$target" "tests/fuzz/corpus/$target" \
        -max_total_time="$seconds" -rss_limit_mb=1024 -max_len=4000 -timeout=60 \
        -print_final_stats=1 -artifact_prefix=".fuzz/$target-"
done
