"""YAML as people write it by hand: plain values only, and no surprises.

Read are mappings, lists, text, numbers, true, false and null, after the core schema of YAML 1.2: ``no`` is a word and
``10:30`` no number. Anchors, aliases, tags and keys that come twice are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 50
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,999})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]


class YamlInvalid(Exception):
    """Text that is not YAML, or more than plain values; ``line`` counts from 1."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(slots=True)
class Written:
    """A value, and the line (from 1) on which each part of it begins."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int | None:
        """The line of the part, or of the nearest part around it that was written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def read_yaml(text: str) -> Written:
    """One document of plain values; raises YamlInvalid."""
    written = Written()
    try:
        events = yaml.parse(text, Loader=_FAST)
        written.value = _Reader(events, written.lines).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlInvalid(f"This is not YAML: {error.problem}.", mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise YamlInvalid(f"This is not YAML: {error}.", None) from error
    return written


class _Reader:
    """Values from the events of a parser, with its own bounds: nothing is built before it was looked at."""

    def __init__(self, events: Iterator[Any], lines: dict[Path, int]) -> None:
        self._events = events
        self._lines = lines

    def document(self) -> Any:
        next(self._events)  # the beginning of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), ())
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise YamlInvalid("There is a second document in the file.", _line(after))
        return value

    def _value(self, event: Any, path: Path) -> Any:
        self._lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise YamlInvalid("Anchors and aliases are not used here.", _line(event))
        if event.tag is not None:
            raise YamlInvalid("Tags are not used here.", _line(event))
        if len(path) > MAX_DEPTH:
            raise YamlInvalid(f"At most {MAX_DEPTH} levels.", _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return _scalar(event)

    def _mapping(self, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise YamlInvalid("A name must be plain text.", _line(event))
            _refuse_unstorable(event)
            if event.value in made:
                raise YamlInvalid(f"{event.value[:100]!r} is there twice.", _line(event))
            self._lines[*path, event.value] = _line(event)
            made[event.value] = self._value(next(self._events), (*path, event.value))
        return made

    def _list(self, path: Path) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            made.append(self._value(event, (*path, len(made))))
        return made


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    _refuse_unstorable(event)
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise YamlInvalid("This number is too large.", _line(event))
        return number
    return text


def _refuse_unstorable(event: yaml.ScalarEvent) -> None:
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in event.value):
        raise YamlInvalid("This character cannot be stored.", _line(event))


class _Dumper(yaml.SafeDumper):
    """Text is quoted wherever YAML 1.1 or 1.2 would read it as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not text[0].isspace() else None
    # Line breaks of YAML 1.1 that nobody sees are written as escapes.
    if any(character in text for character in "\r\x85\u2028\u2029\ufeff"):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(rf"(?:{_INT.pattern}|{_FLOAT.pattern})\Z"), list("-+.0123456789")
)


def write_yaml(value: Any) -> str:
    """Plain values as text that ``read_yaml`` reads as the same; equal values are equal text."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000
    )
    return text
