"""What would have been different: a run that happened beside the same run under another definition."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.timelines import NOT_REACHED, TimelineStep, with_waits

A_WHILE = dt.timedelta(minutes=1)  # smaller differences of time are the machine's
_SENDS = ("email", "sms", "push", "in_app", "notification", "notify", "chat_message")
# Not how long a delay is: a longer one is the same step.
_SAID_BY = ("template", "eventType", "check", "event", "key", "reason", "url", "name", "id")
_WAYS = ("branch", "variant", "value", "arrived")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``kind`` is one of ``KINDS``; ``path`` names the step, by the definition in which it stands."""

    kind: str
    sentence: str
    path: str = ""


KINDS = (
    "send_added",
    "send_dropped",
    "send_moved",
    "other_way",
    "other_wait",
    "step_added",
    "step_dropped",
    "ends_otherwise",
    "ends_earlier",
    "ends_later",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A run as it is compared: its steps, how it stands and why."""

    timeline: Sequence[TimelineStep]
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Ran:
    step: TimelineStep
    label: str
    waited: dt.timedelta  # since the start, when it was done
    own: dt.timedelta  # of that, in this step


def differences(before: Told, after: Told) -> list[Difference]:
    """What ``after`` does otherwise than ``before``, in the order of the steps; how it ends comes last."""
    was, would = _ran(before.timeline), _ran(after.timeline)
    return [*_of_steps(was, would), *_of_the_end(before, after, was, would)]


def _ran(timeline: Sequence[TimelineStep]) -> list[_Ran]:
    made: list[_Ran] = []
    before = dt.timedelta()
    for step, waited in with_waits(timeline):
        if step.status != NOT_REACHED:
            made.append(_Ran(step, _label(step), waited, waited - before))
        before = waited
    return made


def _label(step: TimelineStep) -> str:
    said = next((str(step.input[name]) for name in _SAID_BY if name in step.input), "")
    skipped = " (skipped)" if step.status == "skipped" else ""
    return f"{step.type} {said}".strip() + skipped


def _of_steps(was: Sequence[_Ran], would: Sequence[_Ran]) -> Iterator[Difference]:
    matcher = difflib.SequenceMatcher(
        a=[one.label for one in was], b=[one.label for one in would], autojunk=False
    )
    for tag, from_was, to_was, from_would, to_would in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(was[from_was:to_was], would[from_would:to_would], strict=True)
            for one, other in pairs:
                yield from _of_one_step(one, other)
            continue
        for one in was[from_was:to_was]:
            yield _dropped(one)
        for one in would[from_would:to_would]:
            yield _added(one)


def _of_one_step(was: _Ran, would: _Ran) -> Iterator[Difference]:
    ways = _way(was.step.result), _way(would.step.result)
    if ways[0] != ways[1]:
        sentence = f"{was.label}: {_words(ways[1])} instead of {_words(ways[0])}."
        yield Difference(kind="other_way", sentence=sentence, path=would.step.path)
    if was.step.type == "delay" and abs(would.own - was.own) >= A_WHILE:
        sentence = (
            f"{was.label} ({would.step.path}) would be {_length(would.own)} instead of {_length(was.own)}."
        )
        yield Difference(kind="other_wait", sentence=sentence, path=would.step.path)
    moved = would.waited - was.waited
    if was.step.type in _SENDS and abs(moved) >= A_WHILE:
        sentence = (
            f"{was.label} would go {_length(moved)} {'later' if moved > dt.timedelta() else 'earlier'}."
        )
        yield Difference(kind="send_moved", sentence=sentence, path=would.step.path)


def _dropped(one: _Ran) -> Difference:
    if one.step.type in _SENDS:
        return Difference(kind="send_dropped", sentence=f"{one.label} would not be sent.", path=one.step.path)
    return Difference(kind="step_dropped", sentence=f"{one.label} would not run.", path=one.step.path)


def _added(one: _Ran) -> Difference:
    when = f" {_length(one.waited)} after the start" if one.waited >= A_WHILE else ""
    if one.step.type in _SENDS:
        sentence = f"{one.label} would be sent as well,{when or ' at once'}."
        return Difference(kind="send_added", sentence=sentence, path=one.step.path)
    return Difference(kind="step_added", sentence=f"{one.label} would run as well{when}.", path=one.step.path)


def _of_the_end(
    before: Told, after: Told, was: Sequence[_Ran], would: Sequence[_Ran]
) -> Iterator[Difference]:
    if before.status != after.status:
        why = f": {after.reason}" if after.reason else "."
        yield Difference(kind="ends_otherwise", sentence=f"{after.status} instead of {before.status}{why}")
    if not was or not would or "running" in (before.status, after.status):
        return
    moved = would[-1].waited - was[-1].waited
    if abs(moved) >= A_WHILE:
        later = moved > dt.timedelta()
        sentence = f"It would end {_length(moved)} {'later' if later else 'earlier'}."
        yield Difference(kind="ends_later" if later else "ends_earlier", sentence=sentence)


def _way(result: Mapping[str, Any] | None) -> Any:
    return next(((name, result[name]) for name in _WAYS if name in result), None) if result else None


def _words(way: tuple[str, Any] | None) -> str:
    if way is None:
        return "nothing"
    name, value = way
    if name == "arrived":
        return "the event came" if value else "the event did not come"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _length(length: dt.timedelta) -> str:
    minutes = round(abs(length).total_seconds() / 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute")]
    said = " ".join(f"{value} {unit}{'s' if value != 1 else ''}" for value, unit in parts if value)
    return said or "nothing"
