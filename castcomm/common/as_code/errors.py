"""What is wrong with a folder of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from castcomm.common.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class FileProblem:
    """``file`` is a path inside the folder, ``line`` counts from 1, ``field`` is dotted."""

    file: str
    message: str
    line: int | None = None
    field: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class FolderInvalid(InvalidInput):
    """Files that cannot be brought in. ``problems`` lists everything that was found, at least one thing."""

    code = "invalid_folder"

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__(str(problems[0]), attr=problems[0].field or None)
        self.problems = tuple(problems)
