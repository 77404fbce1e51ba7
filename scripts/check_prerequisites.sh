#!/bin/sh
# Reports all missing prerequisites of the build at once, each with the command that installs it. Usage:
#   check_prerequisites.sh [cargo] [linker] [cplusplus] [python] [lints]
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
oldest_rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
missing=0

# missing WHAT INSTALL: reports a missing prerequisite and counts it.
missing() {
    missing=$((missing + 1))
    printf 'missing: %s\n    install: %s\n' "$1" "$2" >&2
}

# by_system APT DNF PACMAN MACOS OTHER: prints the argument for this system's package manager.
by_system() {
    if [ "$(uname -s)" = Darwin ]; then
        echo "$4"
    elif command -v apt-get >/dev/null; then
        echo "sudo apt-get install -y $1"
    elif command -v dnf >/dev/null; then
        echo "sudo dnf install -y $2"
    elif command -v pacman >/dev/null; then
        echo "sudo pacman -S $3"
    else
        echo "$5"
    fi
}

# at_least VERSION OLDEST: compares MAJOR.MINOR.
at_least() {
    [ "${1%%.*}" -gt "${2%%.*}" ] && return
    version_minor=${1#*.} oldest_minor=${2#*.}
    [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${version_minor%%.*}" -ge "${oldest_minor%%.*}" ]
}

check_cargo() {
    if ! found=$(cargo --version 2>/dev/null); then
        missing "cargo, Rust's build tool ($oldest_rust or newer)" "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        return
    fi
    found=${found#cargo } found=${found%% *}
    if ! at_least "$found" "$oldest_rust"; then
        if command -v rustup >/dev/null; then
            missing "Rust $oldest_rust or newer (found $found)" "rustup update stable && rustup default stable"
        else
            missing "Rust $oldest_rust or newer (found $found)" "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
        fi
    fi
}

check_lints() {
    command -v cargo >/dev/null || return 0
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 ||
            missing "cargo $component" "rustup component add rustfmt clippy"
    done
}

check_linker() {
    command -v cc >/dev/null ||
        missing "cc, the C compiler that links Rust's programs" \
            "$(by_system build-essential gcc base-devel 'xcode-select --install' 'gcc or clang, with a cc command')"
}

check_cplusplus() {
    command -v c++ >/dev/null ||
        missing "c++, the C++ compiler that builds libFuzzer" \
            "$(by_system g++ gcc-c++ base-devel 'xcode-select --install' 'g++ or clang, with a c++ command')"
}

check_python() {
    if ! found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
        missing "$python 3.8 or newer with pip, which fetches ONNX Runtime" \
            "$(by_system 'python3 python3-pip' 'python3 python3-pip' 'python python-pip' \
                'xcode-select --install' 'https://www.python.org/downloads/')"
    elif ! at_least "$found" 3.8; then
        missing "Python 3.8 or newer (found $found as $python)" \
            "a newer one (https://www.python.org/downloads/), and name it: make PYTHON=python3.12 ..."
    elif ! "$python" -m pip --version >/dev/null 2>&1; then
        missing "pip for $python, which fetches ONNX Runtime" \
            "$(by_system python3-pip python3-pip python-pip "$python -m ensurepip --upgrade" "$python -m ensurepip --upgrade")"
    fi
}

for prerequisite in "$@"; do
    "check_$prerequisite"
done
if [ "$missing" -gt 0 ]; then
    echo "Install the missing prerequisites, then run the same command again." >&2
    exit 1
fi
