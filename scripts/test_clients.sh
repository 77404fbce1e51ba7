#!/bin/sh
# Installs the clients of tests/clients and runs their tests against the server. Arguments go to pytest.
# ELECTRA_BINARY names another binary than the one that `cargo test` builds.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
clients=$PWD/.venv-clients
perf_analyzer=$clients/perf_analyzer

# Unpacks libb64, which perf_analyzer links with, from Debian's package without installing it.
unpack_libb64() {
    package=$(mktemp -d)
    (cd "$package" && apt-get download -qq libb64-0d && dpkg-deb -x libb64-0d_*.deb .) && status=0 || status=$?
    [ "$status" -ne 0 ] || { mkdir -p "$perf_analyzer/lib" && cp "$package"/usr/lib/*/libb64.so.* "$perf_analyzer/lib/"; }
    rm -r "$package"
    return "$status"
}

scripts/install_requirements.sh "$clients/packages" tests/clients/requirements.txt 3.11 "The clients"
if [ "$(uname -sm)" = "Linux x86_64" ]; then
    scripts/install_requirements.sh "$perf_analyzer" tests/clients/requirements-perf-analyzer.txt 3.11 perf_analyzer
    if [ ! -d "$perf_analyzer/lib" ] && command -v apt-get >/dev/null; then
        unpack_libb64 || echo "libb64-0d can't be fetched: apt-get update may help" >&2
    fi
fi

export PYTHONPATH="$clients/packages" PYTHONDONTWRITEBYTECODE=1
if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi
# KServe's client can't share a process with tritonclient: both register the protocol's message names.
"$python" -m pytest tests/clients --ignore tests/clients/test_kserve.py && status=0 || status=1
"$python" -m pytest tests/clients/test_kserve.py || status=1
exit "$status"
