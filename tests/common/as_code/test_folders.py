"""Folders are read and written without leaving them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from castcomm.common.as_code import folders
from castcomm.common.as_code.errors import FolderInvalid
from castcomm.common.as_code.folders import MANIFEST, read_folder, write_folder

OWNED = frozenset({"things"})


def link_to_file(root: Path) -> None:
    (root / "x.yaml").symlink_to("/etc/hostname")


def link_to_folder(root: Path) -> None:
    (root / "things").symlink_to("/etc")


def pipe(root: Path) -> None:
    os.mkfifo(root / "x.yaml")


def latin(root: Path) -> None:
    (root / "x.yaml").write_bytes(b"a: 1\nb: \xe4\n")


def nul(root: Path) -> None:
    (root / "x.yaml").write_bytes(b"a: \0\n")


def deep(root: Path) -> None:
    (root / "a" / "b" / "c" / "d").mkdir(parents=True)


def large(root: Path) -> None:
    (root / "x.yaml").write_bytes(b"a" * (folders.MAX_FILE + 1))


def odd_name(root: Path) -> None:
    (root / "a b;c").write_text("")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (link_to_file, "Links are not followed"),
        (link_to_folder, "Links are not followed"),
        (pipe, "not a file"),
        (latin, "x.yaml:2: This is not UTF-8"),
        (nul, "NUL"),
        (deep, "not this deep"),
        (large, "at most"),
        (odd_name, "letters, digits"),
    ],
)
def test_what_is_no_plain_text_file_is_refused(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
) -> None:
    prepare(tmp_path)
    with pytest.raises(FolderInvalid, match=words):
        read_folder(tmp_path)


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    for name in "abc":
        (tmp_path / name).write_text("")
    with pytest.raises(FolderInvalid, match="too much"):
        read_folder(tmp_path)


def test_writing_replaces_what_was_exported_and_nothing_else(tmp_path: Path) -> None:
    first = {MANIFEST: "1\n", "things/old/a.yaml": "a\n", "things/kept/a.yaml": "b\n"}
    write_folder(tmp_path / "new", first, owned=OWNED)
    root = tmp_path / "new"
    (root / "__pycache__").mkdir()
    (root / "__pycache__/old.pyc").write_bytes(b"\xff")
    (root / "README.md").write_text("Ours.\n")
    (root / "notes.txt").write_text("Ours.\n")
    second = {MANIFEST: "1\n", "things/kept/a.yaml": "c\n"}
    write_folder(root, second, owned=OWNED)
    assert read_folder(root) == {**second, "notes.txt": "Ours.\n"}
    assert not (root / "things" / "old").exists()
    assert (root / "README.md").exists()


@pytest.mark.parametrize(
    "name", ["../out.yaml", "things/../../out.yaml", "/out.yaml", "things//a", "things/.git"]
)
def test_writing_stays_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderInvalid, match="cannot be the name"):
        write_folder(tmp_path / "root", {name: "x"}, owned=OWNED)
    assert list(tmp_path.rglob("out.yaml")) == []


def test_writing_follows_no_link_and_takes_no_foreign_folder(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "other.txt").write_text("not ours")
    with pytest.raises(FolderInvalid, match="no folder of ours"):
        write_folder(root, {MANIFEST: "1\n"}, owned=OWNED)
    (root / MANIFEST).write_text("1\n")
    (root / "things").symlink_to(outside)
    with pytest.raises(FolderInvalid, match="Links"):
        write_folder(root, {"things/a/b.yaml": "x"}, owned=OWNED)
    assert list(outside.iterdir()) == []
