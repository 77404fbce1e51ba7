"""What was measured as a table: medians over the rounds, the machine, and the place for it in the documentation."""

import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from errors import ComparisonError

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"


@dataclass(frozen=True)
class Measurement:
    """One round of one contender."""

    requests_per_second: float
    tokens_per_second: float
    """Padding and failed requests not counted."""
    p50_ms: float
    p99_ms: float
    how: str = ""
    """What the contender chose for itself."""


@dataclass(frozen=True)
class Row:
    """All rounds of one contender."""

    key: str
    name: str
    precision: str
    rounds: list[Measurement]

    def median(self, field: str) -> float:
        return statistics.median(getattr(measured, field) for measured in self.rounds)

    def fastest(self) -> Measurement:
        return max(self.rounds, key=lambda measured: measured.tokens_per_second)


@dataclass(frozen=True)
class Conditions:
    """Under which all was measured, as sentences for the reader."""

    model: str
    load: str
    rounds: int
    date: str
    command: str


def render(rows: list[Row], conditions: Conditions) -> str:
    rounds = "one round" if conditions.rounds == 1 else f"medians of {conditions.rounds} rounds, the contenders in turn"
    lines = [
        f"- Machine: {machine()}",
        f"- Model: {conditions.model}",
        f"- Load: {conditions.load}",
        f"- {conditions.date}; {rounds}; `{conditions.command}`",
        "",
        "| contender | precision | requests/s | real tokens/s (least to most) | p50 ms | p99 ms | electra over it |",
        "|---|---|---:|---:|---:|---:|---:|",
        *(table_row(row, rows) for row in rows),
    ]
    notes = [f"{row.precision}: {row.fastest().how}" for row in rows if row.fastest().how]
    if notes:
        lines += ["", f"Without a server, latency is that of a batch. The fastest ways were: {'; '.join(notes)}."]
    return "\n".join(lines)


def table_row(row: Row, rows: list[Row]) -> str:
    tokens = [measured.tokens_per_second for measured in row.rounds]
    cells = [
        row.name,
        row.precision,
        f"{row.median('requests_per_second'):.0f}",
        f"{row.median('tokens_per_second'):,.0f} ({min(tokens):,.0f} to {max(tokens):,.0f})",
        f"{row.median('p50_ms'):.1f}",
        f"{row.median('p99_ms'):.1f}",
        ratio(row, rows),
    ]
    return f"| {' | '.join(cells)} |"


def ratio(row: Row, rows: list[Row]) -> str:
    """Real tokens a second of electra, in the same precision, over those of the row."""
    of_electra = [other for other in rows if other.key == "electra" and other.precision == row.precision]
    if row.key == "electra" or not of_electra:
        return ""
    return f"{of_electra[0].median('tokens_per_second') / row.median('tokens_per_second'):.2f}"


def machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {cores} cores used of {os.cpu_count()}, {memory:.0f} GiB of memory, {platform.system()}"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        named = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(named, capture_output=True, text=True, check=True).stdout.strip()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in fields:
        return platform.machine()
    # Hypervisors hide the name; family and model tell the microarchitecture.
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"


def write(page: Path, table: str) -> None:
    """Put the table between the page's markers; a page that is not there is made."""
    if not page.exists():
        page.write_text(f"# Performance\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    page.write_text(replaced(page.read_text(encoding="utf-8"), table, page.name), encoding="utf-8")


def replaced(text: str, table: str, name: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ComparisonError(f"{name} lacks the lines {BEGIN} and {END}, between which the table goes.")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
