"""The text files of a folder, read and written without leaving it.

Names that begin with a dot and ``*.md`` at the top (notes for people) are passed over.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from castcomm.common.as_code.errors import FileProblem, FolderInvalid

MANIFEST = "castcomm.yaml"
MAX_FILE = 1_000_000  # bytes
MAX_TOTAL = 50_000_000  # bytes
MAX_FILES = 20_000
MAX_DEPTH = 3
SAFE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,118}[A-Za-z0-9])?")

_LEFT_BY_PYTHON = "__pycache__"  # in a folder that had modules in an earlier version

Files = Mapping[str, str]


def read_folder(root: Path) -> dict[str, str]:
    """Path inside the folder (with ``/``) to text; raises FolderInvalid, also for links that lead elsewhere."""
    if not root.is_dir():
        raise FolderInvalid([FileProblem(str(root), "There is no such folder.")])
    found: dict[str, str] = {}
    total = 0
    for name, path in _walk(root, "", 1):
        text = _read(name, path)
        total += len(text)
        if len(found) >= MAX_FILES or total > MAX_TOTAL:
            raise FolderInvalid([FileProblem(name, "There is too much in this folder.")])
        found[name] = text
    return found


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        name = prefix + entry.name
        if entry.name.startswith(".") or (depth == 1 and entry.name.lower().endswith(".md")):
            continue
        if entry.name == _LEFT_BY_PYTHON:
            continue
        if entry.is_symlink():
            raise FolderInvalid([FileProblem(name, "Links are not followed.")])
        if not SAFE_NAME.fullmatch(entry.name):
            raise FolderInvalid(
                [FileProblem(name, "A name has letters, digits, dots, hyphens, underscores.")]
            )
        if not entry.is_dir(follow_symlinks=False):
            yield name, Path(entry.path)
        elif depth == MAX_DEPTH:
            raise FolderInvalid([FileProblem(name, "Folders are not this deep.")])
        else:
            yield from _walk(Path(entry.path), f"{name}/", depth + 1)


def _read(name: str, path: Path) -> str:
    # Not blocking: a pipe in the place of a file must not hold us.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FolderInvalid([FileProblem(name, "This is not a file.")])
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise FolderInvalid([FileProblem(name, f"A file has at most {MAX_FILE:,} bytes.")])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FolderInvalid([FileProblem(name, "This is not UTF-8.", line=line)]) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FolderInvalid([FileProblem(name, "There is a NUL character.", line=line)])
    return text.removeprefix("\ufeff")


def write_folder(root: Path, files: Files, *, owned: frozenset[str]) -> None:
    """Make the folder hold ``files``. What an earlier export wrote there (below names in ``owned``) is taken away.

    Raises FolderInvalid for a folder with other things in it, and for links in the way.
    """
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()) and not (root / MANIFEST).is_file():
        raise FolderInvalid(
            [FileProblem(str(root), f"Not empty, and without {MANIFEST}: no folder of ours.")]
        )
    there = {name for name, _ in _walk(root, "", 1)}
    for name in sorted(there - set(files)):
        if name.split("/", 1)[0] in owned:
            _remove(root, name)
    for name, text in files.items():
        _write(root, name, text)


def _remove(root: Path, name: str) -> None:
    path = root / name
    path.unlink()
    while (path := path.parent) != root and not any(path.iterdir()):
        path.rmdir()


def _write(root: Path, name: str, text: str) -> None:
    if not all(SAFE_NAME.fullmatch(part) for part in name.split("/")):
        raise FolderInvalid([FileProblem(name, "This key cannot be the name of a file.")])
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8"))
