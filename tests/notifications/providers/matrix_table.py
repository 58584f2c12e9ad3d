"""The contract's matrix as a table at the end of a test run: a row per provider, a column per mode.

Tests say their cell with ``record_property(CELL, …)``; properties travel with reports, so it works under xdist too.
"""

from __future__ import annotations

from typing import Any

CELL = "contract_matrix"
TITLE = "Contract: what each provider's answer comes to"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table; nothing when the matrix was not run."""
    cells: dict[tuple[str, str], str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == CELL and getattr(report, "when", "") == "call":
                    provider, mode, said = value
                    cells[provider, mode] = said if outcome == "passed" else f"FAILED: {said}"
    if cells:
        terminalreporter.section(TITLE)
        for line in table(cells):
            terminalreporter.write_line(line)


def table(cells: dict[tuple[str, str], str]) -> list[str]:
    """The lines of the table; rows and columns in the order of the tests' names where they are known."""
    providers = sorted({provider for provider, _ in cells})
    modes = sorted({mode for _, mode in cells}, key=_place)
    rows = [["", *modes]]
    rows += [[provider, *(cells.get((provider, mode), "-") for mode in modes)] for provider in providers]
    widths = [max(len(row[column]) for row in rows) for column in range(len(modes) + 1)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


_ORDER = ("ok", "slow", "429", "503", "401", "400", "500", "hang", "reset", "refuse")


def _place(mode: str) -> tuple[int, str]:
    return (_ORDER.index(mode) if mode in _ORDER else len(_ORDER), mode)
