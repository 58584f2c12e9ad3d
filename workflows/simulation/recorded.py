"""What is known of runs that happened, as the assumptions under which another definition is tried on them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workflows.models import Execution, RecordedEvent
from workflows.simulation.assumptions import AssumedAnswer, AssumedChange, AssumedEvent, Assumptions
from workflows.timelines import TimelineStep

_NO_ATTRIBUTE = ("data", "steps", "event")


Events = Mapping[uuid.UUID, Sequence[RecordedEvent]]


def events_of(executions: Sequence[Execution]) -> Events:
    """The events of these executions' people since the first of them began, by person and in order."""
    if not executions:
        return {}
    rows = RecordedEvent.objects.filter(
        organization_id=executions[0].organization_id,
        user_id__in={execution.user_id for execution in executions},
        created_at__gte=min(execution.started_at for execution in executions),
    )
    made: dict[uuid.UUID, list[RecordedEvent]] = {}
    for row in rows.order_by("created_at", "id"):
        made.setdefault(row.user_id, []).append(row)
    return made


def recorded_assumptions(
    execution: Execution, timeline: Iterable[TimelineStep], events: Sequence[RecordedEvent]
) -> Assumptions:
    """The events that came, the attributes that were read, the answers and variants that were got, each at its time.

    An attribute is taken to have been from the start what it was when it was first read.
    """
    steps = [step for step in timeline if step.result is not None]
    return Assumptions(
        events=tuple(_events(execution, events) if events else _awaited(steps, execution.started_at)),
        attributes=tuple(_attributes(steps, execution)),
        http=tuple(_answers(steps)),
        variants={
            step.result["experiment"]: step.result["variant"]
            for step in steps
            if step.result and "experiment" in step.result and "variant" in step.result
        },
    )


def _events(execution: Execution, events: Sequence[RecordedEvent]) -> Iterator[AssumedEvent]:
    """What came after it began, not the event that started it; the same again starts another run, as it did."""
    for row in events:
        after = row.created_at - execution.started_at
        if after > dt.timedelta():
            yield AssumedEvent(after=after, event=row.event, data=row.data)


def _awaited(steps: Sequence[TimelineStep], started_at: dt.datetime) -> Iterator[AssumedEvent]:
    for step in steps:
        # Recorded events are kept for a while; what a step waited for is kept with it.
        result: Mapping[str, Any] = step.result or {}
        if step.type == "wait_for_event" and result.get("arrived") and step.finished_at is not None:
            after = max(step.finished_at - started_at, dt.timedelta())
            yield AssumedEvent(after=after, event=result["event"], data=result.get("data", {}))


def _answers(steps: Sequence[TimelineStep]) -> Iterator[AssumedAnswer]:
    for step in steps:
        result: Mapping[str, Any] = step.result or {}
        if step.type == "http" and "status" in result:
            yield AssumedAnswer(
                step=step.input.get("id") or step.path,
                status=result["status"],
                body=result.get("body"),
                fails=result.get("error", ""),
            )


def _attributes(steps: Sequence[TimelineStep], execution: Execution) -> Iterator[AssumedChange]:
    known: dict[str, Any] = {}
    for step in steps:
        at = step.finished_at or step.started_at
        for name, value in (step.result or {}).get("read", {}).items():
            attribute = _attribute_named(name, execution.data)
            if attribute is None or (attribute in known and known[attribute] == value):
                continue
            is_first = attribute not in known
            known[attribute] = value
            after = (
                dt.timedelta() if is_first or at is None else max(at - execution.started_at, dt.timedelta())
            )
            yield AssumedChange(after=after, changes={attribute: value})


def _attribute_named(name: str, data: Mapping[str, Any]) -> str | None:
    """The attribute that an expression's name stands for; None for data, results, and what lies deeper."""
    parts = name.split(".")
    if parts[0] == "user":
        parts = parts[1:]
    elif parts[0] in _NO_ATTRIBUTE or parts[0] in data:
        return None
    return parts[0] if len(parts) == 1 else None
