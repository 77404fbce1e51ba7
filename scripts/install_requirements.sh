#!/bin/sh
# Installs pinned Python packages into a folder of the project, unless they are already there. Usage:
#   install_requirements.sh FOLDER REQUIREMENTS OLDEST_PYTHON WHO_NEEDS_THEM
# Uses a plain folder for PYTHONPATH, because a virtual environment needs more than Python and pip.
set -eu

folder=$1 requirements=$2 oldest=$3 who=$4
python=${PYTHON:-python3}

stamp=$("$python" --version && cat "$requirements")
[ "$stamp" != "$(cat "$folder/stamp" 2>/dev/null)" ] || exit 0
"$python" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$oldest'.split('.'))))" || {
    echo "$who need Python $oldest or newer; name one: make PYTHON=python3.12 ..." >&2
    exit 1
}
rm -rf "$folder"
# --no-deps: the requirements pin dependencies too.
"$python" -m pip install --quiet --no-deps --no-compile --only-binary=:all: --disable-pip-version-check \
    --target "$folder" --requirement "$requirements"
printf '%s\n' "$stamp" >"$folder/stamp"
