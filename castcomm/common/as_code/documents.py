"""Between the files of a folder and the entries of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from castcomm.common.as_code.errors import FileProblem, FolderInvalid
from castcomm.common.as_code.folders import MANIFEST, Files
from castcomm.common.as_code.kinds import Document, Kind
from castcomm.common.as_code.yaml_text import Path, Written, YamlInvalid, read_yaml, write_yaml
from castcomm.common.problems import check

VERSION = 1
Documents = Mapping[str, Mapping[str, Document]]  # kind, key


@dataclass(frozen=True, slots=True)
class Given:
    """An entry as a file has it, and where it stands in the file."""

    document: Document
    file: str
    written: Written
    prefix: Path = ()

    def problem(self, kind: Kind, attr: str, message: str) -> FileProblem:
        """The problem with the field ``attr`` (dotted) as one with a file and line."""
        body = kind.body_of(attr)
        if body in self.document.bodies:
            file = f"{self.file.rsplit('/', 1)[0]}/{body}"
            return FileProblem(file, message, _line_in(self.document.bodies[body], attr), attr)
        path: Path = (
            *self.prefix,
            *(int(part) if part.isdigit() else part for part in attr.split(".") if part),
        )
        return FileProblem(self.file, message, self.written.line_of(path), ".".join(map(str, path)))


def _line_in(body: str, attr: str) -> int | None:
    """The line of the part ``attr`` in JSON, which is YAML; None for other texts."""
    if not body.startswith("{"):
        return None
    try:
        written = read_yaml(body)
    except YamlInvalid:
        return None
    return written.line_of(tuple(int(part) if part.isdigit() else part for part in attr.split(".")))


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder says: the kinds it keeps, and their entries."""

    kinds: list[Kind]
    entries: Mapping[str, Mapping[str, Given]]

    @property
    def documents(self) -> Documents:
        """The entries without their places."""
        return {
            name: {key: given.document for key, given in entries.items()}
            for name, entries in self.entries.items()
        }


def render(documents: Documents, kinds: Iterable[Kind]) -> dict[str, str]:
    """The files of a folder that keeps these kinds; equal documents give equal files."""
    kinds = list(kinds)
    files = {MANIFEST: write_yaml({"version": VERSION, "kinds": [kind.name for kind in kinds]})}
    for kind in kinds:
        entries = {key: documents[kind.name][key] for key in sorted(documents[kind.name])}
        if not kind.document:
            files[f"{kind.name}.yaml"] = write_yaml({key: one.fields for key, one in entries.items()})
            continue
        for key, one in entries.items():
            files[f"{kind.name}/{key}/{kind.document}"] = write_yaml(dict(one.fields))
            # Editors end a file with a line break; the text itself need not have one.
            files.update({f"{kind.name}/{key}/{name}": f"{text}\n" for name, text in one.bodies.items()})
    return files


def parse(files: Files, known: Iterable[Kind]) -> Folder:
    """What the files say; raises FolderInvalid with everything that is wrong, by file and line."""
    reading = _Reading(files)
    kept = reading.manifest({kind.name: kind for kind in known})
    entries = {kind.name: dict(reading.entries(kind)) for kind in kept}
    for name in sorted(set(files) - reading.used):
        reading.problems.append(FileProblem(name, f"This file is none of what {MANIFEST} names under kinds."))
    if reading.problems:
        raise FolderInvalid(reading.problems)
    return Folder(kept, entries)


@dataclass(slots=True)
class _Reading:
    """The files on their way to entries, and what was wrong with them."""

    files: Files
    used: set[str] = field(default_factory=set)
    problems: list[FileProblem] = field(default_factory=list)

    def yaml(self, name: str) -> Written:
        """The file as values; what cannot be read is a problem and counts as empty."""
        self.used.add(name)
        try:
            return read_yaml(self.files.get(name, ""))
        except YamlInvalid as error:
            self.problems.append(FileProblem(name, error.message, error.line))
            return Written()

    def manifest(self, known: Mapping[str, Kind]) -> list[Kind]:
        if MANIFEST not in self.files:
            raise FolderInvalid([FileProblem(MANIFEST, "It is missing; it names the version and the kinds.")])
        schema = {
            "type": "object",
            "required": ["version", "kinds"],
            "properties": {
                "version": {"const": VERSION},
                "kinds": {"type": "array", "uniqueItems": True, "items": {"enum": list(known)}},
            },
            "additionalProperties": False,
        }
        written = self.yaml(MANIFEST)
        given = Given(Document({}), MANIFEST, written)
        if self._misfits(schema, written.value, given):
            raise FolderInvalid(self.problems)
        return [kind for name, kind in known.items() if name in written.value["kinds"]]

    def _misfits(self, schema: Mapping[str, Any], value: Any, given: Given) -> bool:
        found = [
            FileProblem(
                given.file,
                problem.message,
                given.written.line_of((*given.prefix, *_path(problem.path))),
                ".".join(map(str, (*given.prefix, *_path(problem.path)))),
            )
            for problem in check(schema, value, "")
        ]
        self.problems += found
        return bool(found)

    def entries(self, kind: Kind) -> Iterator[tuple[str, Given]]:
        """The entries of a kind that can be read, each checked against its schema."""
        for key, given in self._folders(kind) if kind.document else self._of_file(kind):
            if not kind.key_pattern.fullmatch(key) or len(key) > 100:
                self.problems.append(
                    FileProblem(
                        given.file,
                        f"This cannot be a key of {kind.name}.",
                        given.written.line_of((key,)),
                        key,
                    )
                )
            elif not self._misfits(kind.schema, given.document.fields, given):
                found = [
                    given.problem(kind, one.path, one.message) for one in kind.problems(key, given.document)
                ]
                self.problems += found
                if not found:
                    yield key, Given(kind.normal(given.document), given.file, given.written, given.prefix)

    def _of_file(self, kind: Kind) -> Iterator[tuple[str, Given]]:
        name = f"{kind.name}.yaml"
        written = self.yaml(name)
        if not isinstance(written.value, dict | None):
            self.problems.append(FileProblem(name, "Keys, each with its fields.", 1))
            return
        for key, fields in (written.value or {}).items():
            yield key, Given(Document({} if fields is None else fields), name, written, (key,))

    def _folders(self, kind: Kind) -> Iterator[tuple[str, Given]]:
        folders: dict[str, dict[str, str]] = {}
        for name, text in self.files.items():
            parts = name.split("/")
            if len(parts) == 3 and parts[0] == kind.name and self._belongs(kind, parts[2]):
                self.used.add(name)
                folders.setdefault(parts[1], {})[parts[2]] = text
        for key, texts in folders.items():
            name = f"{kind.name}/{key}/{kind.document}"
            if kind.document not in texts:
                self.problems.append(FileProblem(name, "It is missing."))
                continue
            written = self.yaml(name)
            bodies = {body: text.removesuffix("\n") for body, text in texts.items() if body != kind.document}
            fields = {} if written.value is None else written.value
            yield key, Given(Document(fields, bodies), name, written)

    @staticmethod
    def _belongs(kind: Kind, name: str) -> bool:
        return name == kind.document or kind.body_names.fullmatch(name) is not None


def _path(dotted: str) -> Path:
    return tuple(int(part) if part.isdigit() else part for part in dotted.split(".") if part)
