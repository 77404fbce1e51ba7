"""What a case measured, next to the bar that it is held to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measurement. It passes at or below its bar, or with `at_least` at or above it."""

    name: str
    value: float
    bar: float
    unit: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def passes(self) -> bool:
        return self.value >= self.bar if self.at_least else self.value <= self.bar


class CaseError(Exception):
    """A case that could not be measured, which counts as failed."""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values do not exceed."""
    if not values:
        raise CaseError("nothing was measured")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def table(rows: Sequence[tuple[str, Figure]]) -> str:
    """One line per figure, with the case's name on its first."""
    cells = [("case", "figure", "value", "bar", "", "")]
    before = None
    for case, figure in rows:
        relation = ">=" if figure.at_least else "<="
        cells.append(
            (
                case if case != before else "",
                figure.name,
                f"{figure.value:,.4g} {figure.unit}".strip(),
                f"{relation} {figure.bar:,.4g} {figure.unit}".strip(),
                "ok" if figure.passes else "FAIL",
                figure.note,
            )
        )
        before = case
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)
