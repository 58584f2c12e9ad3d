"""Runs that are only simulated: the fields of executions and step runs, without rows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from notifications.services.simulating.stories import SimulatedDelivery, SimulatedNotification
from workflows.definition import Place
from workflows.models import ExecutionStatus, StepStatus
from workflows.selectors import not_reached
from workflows.timelines import Decided, TimelineSend, TimelineStep


@dataclass(slots=True, kw_only=True)
class SimulatedStep:
    """A step run."""

    id: uuid.UUID
    place: Place
    due_at: dt.datetime
    status: StepStatus = StepStatus.WAITING
    attempts: int = 0
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    result: Mapping[str, Any] | None = None
    error: str = ""
    sends: list[SimulatedNotification] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SimulatedRun:
    """An execution. It is *running* at the end when the time that was simulated was over before it was."""

    id: uuid.UUID
    data: Mapping[str, Any]
    started_at: dt.datetime
    event: str = ""
    status: ExecutionStatus = ExecutionStatus.RUNNING
    reason: str = ""
    finished_at: dt.datetime | None = None
    steps: list[SimulatedStep] = field(default_factory=list)

    def results(self) -> dict[str, Any]:
        """What the steps that are done recorded, by path."""
        return {step.place.path: step.result for step in self.steps if step.status == StepStatus.DONE}

    def timeline(self, definition: Mapping[str, Any]) -> list[TimelineStep]:
        """The run as ``selectors.timeline_of`` tells one that happened."""
        ran = [_timeline_step(step) for step in self.steps]
        return ran + not_reached(definition, {step.path for step in ran})


def _timeline_step(step: SimulatedStep) -> TimelineStep:
    return TimelineStep(
        path=step.place.path,
        type=step.place.type,
        name=step.place.step.get("name", ""),
        status=step.status.value,
        input=step.place.step,
        due_at=step.due_at,
        started_at=step.started_at,
        finished_at=step.finished_at,
        attempts=step.attempts,
        result=step.result,
        error=step.error,
        notification_id=step.sends[0].id if step.sends else None,
        sends=sends_told(step.sends),
    )


def sends_told(sends: Sequence[SimulatedNotification]) -> list[TimelineSend]:
    """What became of notifications on each channel."""
    return [_send(one, delivery) for one in sends for delivery in one.deliveries]


def _send(notification: SimulatedNotification, delivery: SimulatedDelivery) -> TimelineSend:
    return TimelineSend(
        channel=delivery.channel,
        status=delivery.status.value,
        reason=delivery.reason,
        decisions=[
            Decided(at=one.at, action=one.action, reason=one.reason, until=one.until, sentence=one.sentence)
            for one in delivery.weighed
        ],
        left_at=delivery.left_at,
        subject=delivery.subject or notification.title,
        error=delivery.error,
    )
