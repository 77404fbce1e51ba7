"""Virtual environments with pinned packages, made once and again when their requirements change."""

import subprocess
import sys
from pathlib import Path

from errors import ComparisonError

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parents[1]
ENVIRONMENTS = PROJECT / ".venv-peers"

# infinity-emb needs numpy 1, which has no wheels beyond; the other requirements need 3.11.
PYTHONS = ((3, 11), (3, 12))


def require_python() -> None:
    if sys.version_info[:2] not in PYTHONS:
        found = ".".join(map(str, sys.version_info[:2]))
        raise ComparisonError(
            f"The peers need Python 3.11 or 3.12, and this is {found}: make PYTHON=python3.12 bench-peers"
        )


def make(name: str) -> Path:
    """Make the environment of requirements-NAME.txt where it is not there yet, and name its folder of programs."""
    folder = ENVIRONMENTS / name
    requirements = requirements_of(name)
    stamp = f"{sys.version}\n{requirements.read_text(encoding='utf-8')}"
    made = folder / "stamp"
    if not made.is_file() or made.read_text(encoding="utf-8") != stamp:
        print(f"Making {folder.relative_to(PROJECT)} (some gigabytes) ...", flush=True)
        run([sys.executable, "-m", "venv", "--clear", str(folder)])
        # Everything is pinned, and what torch asks for but never loads on a CPU is left out: hence no dependencies.
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--requirement"]
        run([str(folder / "bin" / "python"), *install, str(requirements)])
        made.write_text(stamp, encoding="utf-8")
    return folder / "bin"


def requirements_of(name: str) -> Path:
    return FOLDER / f"requirements-{name}.txt"


def pinned(requirements: Path) -> dict[str, str]:
    """Versions by package."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    pins = [line.split(";")[0].split() for line in lines if "==" in line and not line.startswith("#")]
    return dict(pin[0].split("==") for pin in pins)


def run(command: list[str]) -> None:
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        raise ComparisonError(f"This failed, its own words are above: {' '.join(command)}")
