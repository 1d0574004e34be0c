#!/bin/sh
# Writes the locks: every package that pyproject.toml's dependencies and groups come to, on any platform and Python from 3.11
# on, with the hashes of its files. Pins that still fit stay as they are; --upgrade takes the newest. uv, which resolves them,
# is pinned by requirements/lock.txt itself and lives in a throwaway environment.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch"
"$scratch/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements/lock.txt

# lock NAME SOURCE...: write requirements/NAME.txt
lock() {
    name=$1
    shift
    "$scratch/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --custom-compile-command "make lock" ${upgrade:+"$upgrade"} --output-file "requirements/$name.txt" "$@" >/dev/null
}

upgrade=${1:-}
lock run pyproject.toml
lock sentry pyproject.toml --extra sentry --constraints requirements/run.txt
lock build --group build --constraints requirements/run.txt
lock test --group test --constraints requirements/run.txt --constraints requirements/build.txt
lock check --group check --constraints requirements/run.txt --constraints requirements/build.txt --constraints requirements/test.txt
lock cloud --group cloud
lock scan --group scan
lock node --group node
lock oldest --group oldest
lock deploy --group deploy
lock lock --group lock
