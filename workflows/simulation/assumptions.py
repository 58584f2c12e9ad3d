"""What a simulation takes for granted: the part of the future that nobody can know.

Without any, nothing happens but the workflow: mails are neither opened nor clicked, no event comes, attributes stay as
they are, other systems answer 200 with an empty object, experiments choose as they do in truth. An opened mail is the
event ``notification_opened``, a clicked one ``notification_clicked``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from castcomm.common.errors import InvalidInput
from workflows.durations import parse_duration
from workflows.services.inputs import check_data, check_event

OPENED, CLICKED = "notification_opened", "notification_clicked"
MAX_ENTRIES = 200
LONGEST = dt.timedelta(days=400)
_NAMES = ("opened", "clicked", "events", "attributes", "http", "variants")
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedEvent:
    """An event of the person that comes ``after`` the start."""

    after: dt.timedelta
    event: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedChange:
    """What attributes of the person become ``after`` the start."""

    after: dt.timedelta
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedAnswer:
    """What another system answers to the HTTP step with the path or id ``step`` (empty: to any).

    ``fails`` says in a word why there is no answer.
    """

    step: str = ""
    status: int = 200
    body: Any = field(default_factory=dict)
    fails: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """``opened`` and ``clicked``: how long after it went out a mail is, None for never."""

    opened: dt.timedelta | None = None
    clicked: dt.timedelta | None = None
    events: tuple[AssumedEvent, ...] = ()
    attributes: tuple[AssumedChange, ...] = ()
    http: tuple[AssumedAnswer, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)

    def answer_for(self, *names: str) -> AssumedAnswer:
        """What the step with one of these names (path, id) is answered."""
        for one in self.http:
            if not one.step or one.step in names:
                return one
        return AssumedAnswer()

    def json(self) -> dict[str, Any]:
        """Every assumption, the ones that were not made as well."""
        return {
            "opened": _duration_json(self.opened),
            "clicked": _duration_json(self.clicked),
            "events": [
                {"after": _duration_json(one.after), "event": one.event, "data": dict(one.data)}
                for one in self.events
            ],
            "attributes": [
                {"after": _duration_json(one.after), "set": dict(one.changes)} for one in self.attributes
            ],
            "http": [
                {"step": one.step, "fails": one.fails}
                if one.fails
                else {"step": one.step, "status": one.status, "body": one.body}
                for one in self.http
            ],
            "variants": dict(self.variants),
        }


def read_assumptions(given: Any) -> Assumptions:
    """Assumptions as the API takes them; raises InvalidInput that names the entry. None means none."""
    if given is None:
        return Assumptions()
    read = _Given(given, "assumptions", _NAMES)
    return Assumptions(
        opened=read.length("opened"),
        clicked=read.length("clicked"),
        events=tuple(_event(one) for one in read.entries("events", ("after", "event", "data"))),
        attributes=tuple(_change(one) for one in read.entries("attributes", ("after", "set"))),
        http=tuple(_answer(one) for one in read.entries("http", ("step", "status", "body", "fails"))),
        variants=read.texts("variants"),
    )


def _event(given: _Given) -> AssumedEvent:
    event = given.text("event", required=True)
    with given.naming("event"):
        check_event(event)
    with given.naming("data"):
        data = check_data(given.get("data"))
    return AssumedEvent(after=given.length("after") or dt.timedelta(), event=event, data=data)


def _change(given: _Given) -> AssumedChange:
    changes = given.get("set")
    if not isinstance(changes, Mapping) or not changes:
        raise given.wrong("An object of attributes and their values.", "set")
    for name in changes:
        if not isinstance(name, str) or not _ATTRIBUTE.match(name):
            raise given.wrong("Names have letters, digits and _.", "set")
    with given.naming("set"):
        checked = check_data({"attributes": changes})["attributes"]
    return AssumedChange(after=given.length("after") or dt.timedelta(), changes=checked)


def _answer(given: _Given) -> AssumedAnswer:
    step = given.text("step")
    if step and not _STEP.match(step):
        raise given.wrong("The path or the id of a step.", "step")
    status = given.get("status", 200)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise given.wrong("A status of HTTP, from 100 to 599.", "status")
    with given.naming("body"):
        body = check_data({"body": given.get("body", {})})["body"]
    return AssumedAnswer(step=step, status=status, body=body, fails=given.text("fails"))


class _Given:
    """A part of the input; each method reads a field, or says what is wrong with it."""

    def __init__(self, given: Any, attr: str, names: tuple[str, ...]) -> None:
        self.attr = attr
        if not isinstance(given, Mapping):
            raise InvalidInput("Give an object.", attr=attr)
        for name in given:
            if name not in names:
                raise self.wrong(
                    f"There is no {str(name)[:40]!r}; there are {', '.join(names)}.", str(name)[:40]
                )
        self._given = given

    def wrong(self, message: str, field_name: str) -> InvalidInput:
        return InvalidInput(message, attr=f"{self.attr}.{field_name}")

    def get(self, name: str, default: Any = None) -> Any:
        return self._given.get(name, default)

    def naming(self, name: str) -> _Naming:
        """Lets an InvalidInput of somebody else name the field here."""
        return _Naming(f"{self.attr}.{name}")

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._given.get(name, "")
        if not isinstance(value, str) or len(value) > 200 or (required and not value):
            raise self.wrong("A short text.", name)
        return value

    def length(self, name: str) -> dt.timedelta | None:
        value = self._given.get(name)
        if value is None:
            return None
        try:
            length = parse_duration(value)
        except ValueError as error:
            raise self.wrong(str(error), name) from error
        if not dt.timedelta() <= length <= LONGEST:
            raise self.wrong(f"From zero to {LONGEST.days} days.", name)
        return length

    def texts(self, name: str) -> dict[str, str]:
        value = self._given.get(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
            raise self.wrong("An object of texts.", name)
        return dict(value)

    def entries(self, name: str, names: tuple[str, ...]) -> Iterator[_Given]:
        value = self._given.get(name, [])
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise self.wrong(f"A list of at most {MAX_ENTRIES} entries.", name)
        for position, one in enumerate(value):
            yield _Given(one, f"{self.attr}.{name}.{position}", names)


class _Naming:
    def __init__(self, attr: str) -> None:
        self._attr = attr

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InvalidInput):
            raise InvalidInput(error.message, attr=self._attr) from error


def _duration_json(length: dt.timedelta | None) -> str | None:
    """ISO 8601, in days, hours, minutes and seconds."""
    if length is None:
        return None
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    day = f"{days}D" if days else ""
    time = "".join(
        f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value
    )
    return f"P{day}" + (f"T{time}" if time else "") if day or time else "PT0S"
