#!/bin/sh
# Lints the shell scripts, the workflows, the Dockerfile and deploy/. A linter that is not available on this system is skipped
# with a message. With CI=true, the linters from PyPI are required.
#
# shellcheck disable=SC2329 # the lint_* functions are passed to `run` by name
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
# The oldest supported version of Kubernetes.
kubernetes=1.30
tools=$PWD/.venv-lint

# skipped TOOL WHY
skipped() {
    echo "skipped: $1 ($2)"
}

# unless_ci TOOL WHY: skips on a user's machine, fails in CI.
unless_ci() {
    skipped "$1" "$2"
    [ "${CI:-}" != true ]
}

lint_yaml() {
    "$python" -m yamllint --strict --config-file deploy/.yamllint.yaml deploy .github
}

lint_kubernetes() {
    manifests=$(find deploy/kubernetes -name '*.yaml' ! -name kustomization.yaml | sort)
    for manifest in $manifests; do
        grep -q "^  - ${manifest##*/}\$" deploy/kubernetes/kustomization.yaml || {
            echo "$manifest is not among the resources of deploy/kubernetes/kustomization.yaml"
            return 1
        }
    done
    # shellcheck disable=SC2086 # one argument per file
    "$tools/bin/kubernetes-validate" --quiet --strict --kubernetes-version "$kubernetes" $manifests
}

lint_systemd() {
    # Checks a copy that starts /bin/true, because the server may not be installed here.
    copy=$(mktemp -d)
    sed 's|^ExecStart=.*|ExecStart=/bin/true|' deploy/systemd/electra.service >"$copy/electra.service"
    mkdir "$copy/electra.service.d"
    cp deploy/systemd/cuda.conf "$copy/electra.service.d/"
    found=$(systemd-analyze verify --man=no "$copy/electra.service" 2>&1) && status=0 || status=$?
    rm -r "$copy"
    # systemd-analyze reports some mistakes, such as an unknown key, but exits with 0.
    [ -z "$found" ] || echo "$found"
    [ "$status" -eq 0 ] && [ -z "$found" ]
}

lint_prometheus() {
    # Debian's promtool lacks Kubernetes service discovery, so a copy with a static address is checked.
    copy=$(mktemp -d)
    cp deploy/prometheus/*.yml "$copy"
    sed -e 's/kubernetes_sd_configs:/static_configs:/' -e 's/- role: pod/- targets: [pod:8080]/' \
        deploy/prometheus/prometheus-kubernetes.yml >"$copy/prometheus-kubernetes.yml"
    promtool check config "$copy/prometheus.yml" "$copy/prometheus-kubernetes.yml" &&
        promtool check rules "$copy/electra.rules.yml" &&
        promtool test rules "$copy/electra.rules.test.yml" && status=0 || status=1
    rm -r "$copy"
    return "$status"
}

# run TOOL COMMAND...: prints one line, and the tool's output if it fails.
failed=0
run() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok: $name"
    else
        echo "FAILED: $name"
        printf '%s\n' "$output" | sed 's/^/    /'
        failed=1
    fi
}

if why=$(scripts/install_requirements.sh "$tools" scripts/lint-requirements.txt 3.10 "The linters" 2>&1); then
    export PYTHONPATH="$tools"
    run yamllint lint_yaml
    run kubernetes-validate lint_kubernetes
    run hadolint "$tools/bin/hadolint" --no-color Dockerfile
    if [ -x "$tools/bin/shellcheck" ]; then
        run shellcheck "$tools/bin/shellcheck" scripts/*.sh tests/fuzz/*.sh .ci/run
    else
        skipped shellcheck "no wheel for this platform"
    fi
else
    unless_ci "yamllint, kubernetes-validate, hadolint, shellcheck" "$why" || failed=1
fi

if command -v systemd-analyze >/dev/null; then
    run systemd-analyze lint_systemd
else
    skipped systemd-analyze "part of systemd"
fi

if command -v promtool >/dev/null; then
    run promtool lint_prometheus
else
    skipped promtool "part of Prometheus"
fi

exit "$failed"
