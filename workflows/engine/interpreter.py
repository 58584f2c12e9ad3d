"""What one step does to an execution. Knows no database: the live engine and a simulation both use it."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from castcomm.common.errors import CastCommError
from workflows.definition import Place, first_in, place_after
from workflows.models import ExecutionStatus, StepStatus
from workflows.steps.base import Outcome, StepContext, StepResult, step_types
from workflows.steps.checks import ask

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 8
MAX_DEATHS = 3
FIRST_RETRY = 5.0  # seconds
LONGEST_RETRY = 3600.0  # seconds
_ENDS = {Outcome.STOP: ExecutionStatus.STOPPED, Outcome.DIGESTED: ExecutionStatus.DIGESTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What to record of a step run, and what follows for its execution.

    ``due_at`` is set when the step run itself goes back to sleep; ``follows`` is the next step; ``ends`` is
    the state in which the execution ends, for ``reason``. ``retried`` says that sleep is for another try. ``saves`` is
    laid over the run's data, ``attributes`` over what is known of the person.
    """

    status: StepStatus
    result: Mapping[str, Any] | None = None
    error: str = ""
    notification_id: uuid.UUID | None = None
    due_at: dt.datetime | None = None
    retried: bool = False
    follows: Place | None = None
    ends: ExecutionStatus | None = None
    reason: str = ""
    saves: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


def run_step(definition: Mapping[str, Any], place: Place, context: StepContext) -> Transition:
    """Run the step at ``place``; whatever it raises is the caller's to hand to ``after_error``."""
    # A step that went to sleep has been begun: its condition was true then.
    if "when" in place.step and context.earlier is None:
        answer = ask(place.step["when"], context.values, now=context.clock.now())
        if not answer.value:
            reason = f"The condition {place.step['when']!r} is false{answer.because}."
            return _after_skip(definition, place, reason, answer.record)
    return after_result(definition, place, step_types.get(place.type).run(place.step, context))


def after_result(definition: Mapping[str, Any], place: Place, result: StepResult) -> Transition:
    """What a step's answer means for its execution."""
    if result.outcome is Outcome.WAIT:
        return Transition(status=StepStatus.WAITING, result=result.output, due_at=result.until)
    if result.outcome in _ENDS:
        ends = _ENDS[result.outcome]
        return Transition(status=StepStatus.DONE, result=result.output, ends=ends, reason=result.reason)
    if result.outcome is Outcome.SKIP:
        return _after_skip(definition, place, result.reason, result.output)
    follows = None
    if result.outcome is Outcome.ENTER:
        follows = first_in(definition, f"{place.path}.{result.target}")
    follows = follows or place_after(definition, place.path)
    return Transition(
        status=StepStatus.DONE,
        result=result.output,
        notification_id=result.notification_id,
        follows=follows,
        ends=None if follows else ExecutionStatus.COMPLETED,
        saves=result.saves,
        attributes=result.attributes,
    )


def _after_skip(
    definition: Mapping[str, Any], place: Place, reason: str, output: Mapping[str, Any]
) -> Transition:
    # A step that was not done does not jump either.
    follows = place_after(definition, place.path, skipped=True)
    return Transition(
        status=StepStatus.SKIPPED,
        result={**output, "skipped": reason},
        follows=follows,
        ends=None if follows else ExecutionStatus.COMPLETED,
    )


def after_error(
    error: Exception, *, place: Place, attempts: int, now: dt.datetime, earlier: Mapping[str, Any] | None
) -> Transition:
    """What an error means: another try later, or the end of the execution as failed.

    ``attempts`` counts the tries made, this one included. Unknown errors are tried again, with a cap.
    """
    known = isinstance(error, CastCommError)
    message = error.message if isinstance(error, CastCommError) else f"{type(error).__name__}: {error}"
    where = f"Step {place.path} ({place.type})"
    if not known:
        log.error("workflow.step_error", path=place.path, step_type=place.type, exc_info=error)
    if known and not error.retryable:  # type: ignore[attr-defined]
        return _failed(message, f"{where} failed: {message}")
    if attempts >= MAX_ATTEMPTS:
        return _failed(message, f"{where} failed {attempts} times: {message}")
    pause = retry_pause(attempts, getattr(error, "retry_after", None))
    return Transition(
        status=StepStatus.WAITING, result=earlier, error=message, due_at=now + pause, retried=True
    )


def after_deaths(*, place: Place, deaths: int) -> Transition:
    """What becomes of a step that took its worker with it too often."""
    message = f"The worker died {deaths} times while it ran this step."
    return Transition(
        status=StepStatus.DEAD,
        error=message,
        ends=ExecutionStatus.FAILED,
        reason=f"Step {place.path} ({place.type}): {message[0].lower()}{message[1:]}",
    )


def after_departure() -> Transition:
    """What follows when the person is no longer an active member of the organization."""
    reason = "The person is no longer an active member of the organization."
    return Transition(status=StepStatus.SKIPPED, ends=ExecutionStatus.STOPPED, reason=reason)


def retry_pause(attempts: int, retry_after: float | None) -> dt.timedelta:
    """Exponential back-off with full jitter; never shorter than what the other side asked for (seconds)."""
    ceiling = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** (attempts - 1))
    pause = random.uniform(ceiling / 10, ceiling)  # noqa: S311
    return dt.timedelta(seconds=max(pause, retry_after or 0.0))


def _failed(error: str, reason: str) -> Transition:
    return Transition(status=StepStatus.FAILED, error=error, ends=ExecutionStatus.FAILED, reason=reason)
