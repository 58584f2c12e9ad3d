"""The Procfile's processes through honcho: one output, and when one process ends, all end.

``honcho start`` itself gives each kind of process a PORT of its own; here all see the same, because the
workers write links to the web process into mails.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer


class _ColourOutput:
    """Standard output of a process whose reader passes everything on to a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return True


def process_names(procfile: Path) -> list[str]:
    return list(parse_procfile(procfile.read_text()).processes)


def main(arguments: Sequence[str]) -> int:
    """Run the named processes of ``./Procfile``; without names, all of them."""
    commands = parse_procfile(Path("Procfile").read_text()).processes
    output = _ColourOutput(sys.stdout) if "FORCE_COLOR" in os.environ else sys.stdout
    manager = Manager(Printer(output))
    for name in arguments or commands:
        manager.add_process(f"{name}.1", commands[name], env=dict(os.environ))
    manager.loop()
    return int(manager.returncode or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
