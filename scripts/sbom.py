#!/usr/bin/env python3
"""Writes what the program is made of, as a CycloneDX document, to standard output.

Lists the crates that are linked into the program for this machine and those that only build it, with their versions,
licences and checksums, and ONNX Runtime, which the program loads. The same sources give the same document.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

PROJECT = Path(__file__).resolve().parents[1]
CARGO = os.environ.get("CARGO", "cargo")
# Ids of documents are made within this, so that they do not change from one run to the next.
NAMESPACE = uuid.UUID("6e4d1a6e-5d3c-5c9b-9d0f-3c1c1f6f6b52")

Package = dict[str, Any]


def main() -> None:
    host = re.search(r"^host: (.+)$", _output("rustc", "-vV"), re.M)
    assert host is not None, "rustc names its host"
    metadata = json.loads(
        _output(CARGO, "metadata", "--locked", "--format-version", "1", "--filter-platform", host[1])
    )
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    linked = _reachable(root, nodes, {None})
    needed = _reachable(root, nodes, {None, "build"})
    checksums = _checksums()

    components = {identity: _crate(packages[identity], checksums) for identity in needed}
    for identity in needed - linked:
        components[identity].scope = ComponentScope.EXCLUDED
    program = components[root]
    program.type, program.name, program.purl = ComponentType.APPLICATION, "electra", None
    bom = Bom(components=[component for identity, component in components.items() if identity != root])
    bom.metadata.component = program
    for identity, component in components.items():
        used = [components[dep["pkg"]] for dep in nodes[identity]["deps"] if dep["pkg"] in components]
        bom.register_dependency(component, used)
    runtime = _onnxruntime()
    bom.components.add(runtime)
    bom.register_dependency(program, [runtime])
    lock = (PROJECT / "Cargo.lock").read_text(encoding="utf-8")
    bom.serial_number = uuid.uuid5(NAMESPACE, host[1] + lock)

    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # The time of writing says nothing about the program.
    document["metadata"].pop("timestamp", None)
    text = json.dumps(document, indent=2, sort_keys=True)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        sys.exit(f"not a valid document: {problem}")
    print(text)


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


def _reachable(root: str, nodes: dict[str, Any], kinds: set[Any]) -> set[str]:
    """The packages that one depends on, by dependencies of these kinds. What builds a crate is built itself."""
    found, left = {root}, [root]
    while left:
        for identity in _dependencies(nodes[left.pop()], kinds):
            if identity not in found:
                found.add(identity)
                left.append(identity)
    return found


def _dependencies(node: dict[str, Any], kinds: set[Any]) -> Iterator[str]:
    for dependency in node["deps"]:
        if any(kind["kind"] in kinds for kind in dependency["dep_kinds"]):
            yield dependency["pkg"]


def _checksums() -> dict[tuple[str, str], str]:
    lock = tomllib.loads((PROJECT / "Cargo.lock").read_text(encoding="utf-8"))
    return {
        (package["name"], package["version"]): package["checksum"]
        for package in lock["package"]
        if "checksum" in package
    }


def _crate(package: Package, checksums: dict[tuple[str, str], str]) -> Component:
    name, version = package["name"], package["version"]
    checksum = checksums.get((name, version))
    # Crates wrote `MIT/Apache-2.0` before they wrote SPDX.
    licence = (package["license"] or "").replace("/", " OR ")
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        purl=PackageURL("cargo", name=name, version=version),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def _onnxruntime() -> Component:
    pinned = (PROJECT / "scripts" / "onnxruntime-requirements.txt").read_text(encoding="utf-8")
    version = re.search(r"^onnxruntime==(\S+)", pinned, re.M)
    assert version is not None, "the version of ONNX Runtime is pinned"
    return Component(
        type=ComponentType.LIBRARY,
        name="onnxruntime",
        version=version[1],
        bom_ref=f"onnxruntime@{version[1]}",
        purl=PackageURL("pypi", name="onnxruntime", version=version[1]),
        licenses=[LicenseFactory().make_from_string("MIT")],
    )


if __name__ == "__main__":
    main()
