#!/bin/sh
# Writes the bill of materials to the file that is named. If Python's packages for it are not available for this system,
# says so. With CI=true, that is a failure. Usage:
#   sbom.sh FILE
set -eu
cd "$(dirname "$0")/.."

tools=$PWD/.venv-sbom
file=$1

if ! why=$(scripts/install_requirements.sh "$tools" scripts/sbom-requirements.txt 3.11 "The bill of materials" 2>&1); then
    echo "skipped: $file ($why)"
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi
mkdir -p "$(dirname "$file")"
PYTHONPATH=$tools "${PYTHON:-python3}" scripts/sbom.py >"$file"
echo "$file: CycloneDX 1.6, $(grep -c '"bom-ref"' "$file") components"
