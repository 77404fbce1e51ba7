#!/usr/bin/env python3
"""Download ONNX Runtime's shared library, pinned by version and SHA-256, from its wheel on PyPI.

The library, its execution providers and its licence go into `.onnxruntime/` in the project's folder, where the server
looks for it. Needs Python 3.8 or newer with pip, and nothing else. If the library is already there, nothing is
downloaded.
"""

import sys

if sys.version_info < (3, 8):
    sys.exit(
        "error: fetching ONNX Runtime needs Python 3.8 or newer, and this is Python {}.{}.\n"
        "Install a newer python3 from your system's packages or https://www.python.org/downloads/.".format(
            *sys.version_info[:2]
        )
    )

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

SCRIPTS = Path(__file__).resolve().parent
PROJECT = SCRIPTS.parent

# The library inside a wheel does not depend on the wheel's Python version. Every platform below has a wheel for this
# version, so the hashes do not depend on the user's Python.
WHEEL_PYTHON = "311"

# Platform name -> the wheel's platform tag.
CPU_WHEELS = {
    "linux-x86_64": "manylinux_2_28_x86_64",
    "linux-aarch64": "manylinux_2_28_aarch64",
    "macos-arm64": "macosx_14_0_arm64",
}
GPU_WHEELS = {"linux-x86_64": "manylinux_2_28_x86_64"}

# The oldest systems that the tags above support.
OLDEST_GLIBC = (2, 28)
OLDEST_MACOS = (14, 0)

NOTICES = ("LICENSE", "ThirdPartyNotices.txt", "Privacy.md")


class FetchError(Exception):
    """Says what is wrong, where, and what to do."""


def main():
    arguments = parse_arguments()
    try:
        fetch(arguments.gpu, arguments.platform or host_platform(), arguments.output)
    except FetchError as error:
        sys.exit(f"error: {error}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--gpu", action="store_true", help="download the build for CUDA and TensorRT (Linux x86-64)"
    )
    parser.add_argument(
        "--platform", choices=sorted(CPU_WHEELS), help="platform to download for (default: this one)"
    )
    parser.add_argument(
        "--output", type=Path, default=PROJECT / ".onnxruntime", help="folder to fill (default: %(default)s)"
    )
    return parser.parse_args()


def fetch(gpu, platform_name, output):
    """Put the pinned ONNX Runtime for the platform into `output`, unless it is already there."""
    requirements = SCRIPTS / ("onnxruntime-gpu-requirements.txt" if gpu else "onnxruntime-requirements.txt")
    tag = (GPU_WHEELS if gpu else CPU_WHEELS).get(platform_name)
    if tag is None:
        raise FetchError(f"ONNX Runtime with CUDA is published for {', '.join(GPU_WHEELS)} only, not for {platform_name}.")

    # The stamp identifies the result: the platform, the version and the hashes.
    stamp = f"{tag}\n{requirements.read_text(encoding='utf-8')}"
    if is_current(output, stamp):
        print(f"ONNX Runtime is in place: {output / 'lib'}")
        return

    require_pip()
    output.parent.mkdir(parents=True, exist_ok=True)
    # In the output's parent folder, hence on the same file system: renaming puts the result into place atomically.
    with tempfile.TemporaryDirectory(prefix=f"{output.name}-", dir=output.parent) as scratch:
        wheel = download(requirements, tag, Path(scratch, "wheel"))
        fresh = Path(scratch, "fresh")
        unpack(wheel, fresh)
        (fresh / "stamp").write_text(stamp, encoding="utf-8")
        replace_folder(output, fresh, discarded=Path(scratch, "discarded"))
    print(f"ONNX Runtime is ready: {output / 'lib'}")


def is_current(output, stamp):
    try:
        return (output / "stamp").read_text(encoding="utf-8") == stamp and any(
            path.is_file() for path in versionless_names(output / "lib")
        )
    except OSError:
        return False


def versionless_names(folder):
    return folder / "libonnxruntime.so", folder / "libonnxruntime.dylib"


def host_platform():
    """Name this platform; fail if it can't run the wheels' library."""
    system, machine = platform.system(), platform.machine().lower()
    name = {
        ("Linux", "x86_64"): "linux-x86_64",
        ("Linux", "amd64"): "linux-x86_64",
        ("Linux", "aarch64"): "linux-aarch64",
        ("Linux", "arm64"): "linux-aarch64",
        ("Darwin", "arm64"): "macos-arm64",
    }.get((system, machine))
    if name is None:
        raise unsupported(f"{system} on {machine}")

    if system == "Linux":
        library, version = platform.libc_ver()
        if library != "glibc":
            raise unsupported("a Linux whose C library is not glibc (Alpine, for one)")
        if parse_version(version) < OLDEST_GLIBC:
            raise unsupported(f"glibc {version}, older than {dotted(OLDEST_GLIBC)},")
    else:
        version = platform.mac_ver()[0]
        # macOS reports 10.16 to a Python built before macOS 11, whatever the real version is.
        if parse_version(version) < OLDEST_MACOS and not version.startswith("10.16"):
            raise unsupported(f"macOS {version}, older than {dotted(OLDEST_MACOS)},")
    return name


def unsupported(what):
    return FetchError(
        f"PyPI has no ONNX Runtime wheel for {what}; there is one for {', '.join(CPU_WHEELS)}.\n"
        "Get the shared library elsewhere (https://onnxruntime.ai, or build it), and name it to the server with "
        "ELECTRA_ONNXRUNTIME_LIBRARY=/path/to/libonnxruntime.so."
    )


def parse_version(text):
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def dotted(version):
    return ".".join(str(part) for part in version)


def require_pip():
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            f"ONNX Runtime is fetched with pip, and {sys.executable} has none. Install it:\n"
            "  Debian, Ubuntu:  sudo apt-get install python3-pip\n"
            "  Fedora, RHEL:    sudo dnf install python3-pip\n"
            "  macOS, others:   python3 -m ensurepip --upgrade"
        )


def download(requirements, tag, folder):
    """Download the wheel into `folder`; pip refuses one whose SHA-256 is not in `requirements`."""
    print(f"Downloading the {tag} wheel named by scripts/{requirements.name} ...", flush=True)
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
        "--implementation", "cp", "--python-version", WHEEL_PYTHON, "--abi", f"cp{WHEEL_PYTHON}", "--platform", tag,
        "--dest", str(folder), "--requirement", str(requirements),
    ]  # fmt: skip
    # PIP_REQUIRE_VIRTUALENV guards installs; nothing is installed here.
    environment = dict(os.environ, PIP_REQUIRE_VIRTUALENV="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode != 0:
        raise FetchError(
            "pip could not download ONNX Runtime (its own message is above). Check the connection to PyPI; behind a "
            "proxy or with a mirror, set HTTPS_PROXY or PIP_INDEX_URL."
        )
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip downloaded {len(wheels)} wheels where one was expected; see scripts/{requirements.name}.")
    return wheels[0]


def unpack(wheel, output):
    """Extract the shared libraries and the notices from the wheel."""
    libraries = output / "lib"
    libraries.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = PurePosixPath(member).name
            if name.startswith("libonnxruntime") and member.startswith("onnxruntime/capi/"):
                extract(archive, member, libraries / name)
            elif name in NOTICES and member == f"onnxruntime/{name}":
                extract(archive, member, output / name)
    link_versionless_name(libraries, wheel)


def extract(archive, member, target):
    with archive.open(member) as source, open(target, "wb") as sink:
        shutil.copyfileobj(source, sink)


def link_versionless_name(libraries, wheel):
    """Link libonnxruntime.so (libonnxruntime.dylib), the name that a loader asks for, to the versioned library."""
    versioned = [*libraries.glob("libonnxruntime.so.*"), *libraries.glob("libonnxruntime.*.dylib")]
    if len(versioned) != 1:
        raise FetchError(f"{wheel.name} holds {len(versioned)} ONNX Runtime libraries where one was expected.")
    suffix = ".dylib" if versioned[0].suffix == ".dylib" else ".so"
    (libraries / f"libonnxruntime{suffix}").symlink_to(versioned[0].name)


def replace_folder(target, fresh, discarded):
    try:
        if target.exists():
            target.rename(discarded)
        fresh.rename(target)
    except OSError as error:
        # If another run of this script was faster, its result is as good.
        if not is_current(target, (fresh / "stamp").read_text(encoding="utf-8")):
            raise FetchError(f"cannot put the fetched library at {target}: {error}") from error


if __name__ == "__main__":
    main()
