"""The truth table of ``docs/preferences.md``, made from the cases that ``tests/notifications/test_routing.py`` runs.

    .venv/bin/python -m tests.docs.routing_table --write

writes it into the page; without ``--write`` it is printed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.apps import apps

if not apps.ready:  # as a script; the table needs no server
    os.environ |= {"DJANGO_SETTINGS_MODULE": "castcomm.settings", "DEBUG": "1"}
    django.setup()

from tests.notifications.test_routing import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "preferences.md"
BEGIN, END = "<!-- truth table: begin -->\n", "<!-- truth table: end -->\n"


def table() -> str:
    """The cases as a Markdown table: the situation, what happens, the reason code and its sentence."""
    rows = ["| situation | what happens | reason | *explain* says |", "|---|---|---|---|"]
    rows += [
        f"| {situation} | {action.value} | `{reason.value}` | {reason.label} |"
        for situation, _, action, reason in TABLE
    ]
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """The page with today's table between its two marks; raises ValueError when a mark is missing."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{PAGE.name} has lost the marks of the table.")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(with_table(PAGE.read_text()))
    else:
        sys.stdout.write(table())
