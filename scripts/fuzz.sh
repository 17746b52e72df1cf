#!/bin/sh
# Fuzz dcsend's SCTP, guided by coverage, in an environment of its own: atheris has no place among
# the tools that everybody installs. SECONDS_TO_RUN=... for longer or shorter; what is found lies in
# .fuzz, and the inputs that reached something new in .fuzz/corpus.
set -eu

if ! .fuzz/bin/python -c 'import atheris, google_crc32c' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv --clear .fuzz
    .fuzz/bin/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4' google-crc32c
fi
mkdir -p .fuzz/corpus
exec .fuzz/bin/python tests/fuzz/fuzz_sctp.py .fuzz/corpus tests/fuzz/corpus \
    -max_total_time="${SECONDS_TO_RUN:-600}" -rss_limit_mb=512 -max_len=4000 \
    -print_final_stats=1 -artifact_prefix=.fuzz/
