"""What a case is, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass

from figures import Figure
from server import Server

MIB = 1 << 20
# What all requests together may hold: the default of `max_inflight_bytes`.
INFLIGHT_BYTES = 128 * MIB
# Resident memory that may come on top of that.
ALLOWANCE_BYTES = 80 * 10**6


@dataclass(frozen=True)
class Context:
    """A fresh server, and how much time there is."""

    server: Server
    short: bool
    idle_bytes: int  # resident memory before the case

    def pick(self, short: float, full: float) -> float:
        """A duration, a count or a bar of the short form, or of the full one."""
        return short if self.short else full


@dataclass(frozen=True)
class Case:
    """Puts load on a server and returns figures. The runner adds those of health and memory."""

    name: str
    run: Callable[[Context], list[Figure]]
    settings: tuple[str, ...] = ()
    in_short: bool = True
    program: str = ""  # that has to be installed
    needs_root: bool = False
