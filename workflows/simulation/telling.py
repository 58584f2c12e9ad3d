"""A simulation as JSON: what the API answers and the command prints."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from notifications.services.simulating.stories import SimulatedDigest
from workflows.services.backtesting import Backtest
from workflows.services.simulating import Simulation
from workflows.simulation.course import Course, Happening
from workflows.simulation.runs import SimulatedRun, sends_told
from workflows.timelines import NOT_REACHED, TimelineSend, TimelineStep


def simulation_json(simulation: Simulation) -> dict[str, Any]:
    """A whole simulation, but for the workflow's key."""
    return {
        "version": simulation.version,
        "start": _moment(simulation.start),
        "until": _moment(simulation.until),
        "assumptions": simulation.assumptions.json(),
        "summary": summary_json(simulation.courses),
        "people": [course_json(course) for course in simulation.courses],
    }


def backtest_json(backtest: Backtest) -> dict[str, Any]:
    """A whole backtest, but for the workflow's key."""
    return {
        "version": backtest.version,
        "counts": backtest.counts(),
        "executions": [
            {
                "execution": str(one.execution.id),
                "user": str(one.execution.user_id),
                "email": one.execution.user.email,
                "started_at": _moment(one.execution.started_at),
                "status": one.execution.status,
                "differences": None
                if one.differences is None
                else [
                    {"kind": each.kind, "sentence": each.sentence, "path": each.path}
                    for each in one.differences
                ],
            }
            for one in backtest.compared
        ],
    }


def course_json(course: Course) -> dict[str, Any]:
    """One person's story. ``after`` is in seconds from the start of the run."""
    person = course.person
    return {
        "user": str(person.id),
        "email": person.fields["email"],
        "name": person.fields["display_name"],
        "time_zone": person.fields["time_zone"],
        "runs": [_run_json(run, course.world.definition) for run in course.runs],
        "digests": [_digest_json(one) for one in course.outbox.windows.all],
        "happenings": [_happening_json(one) for one in course.happenings],
    }


def _run_json(run: SimulatedRun, definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "started_at": _moment(run.started_at),
        "finished_at": _moment(run.finished_at),
        "status": run.status.value,
        "reason": run.reason,
        "event": run.event,
        "data": run.data,
        "steps": [step_json(step, run.started_at) for step in run.timeline(definition)],
    }


def step_json(step: TimelineStep, started_at: dt.datetime) -> dict[str, Any]:
    """A step of a timeline, simulated or real."""
    at = step.finished_at or step.due_at
    return {
        "path": step.path,
        "type": step.type,
        "name": step.name,
        "status": step.status,
        "input": step.input,
        "due_at": _moment(step.due_at),
        "started_at": _moment(step.started_at),
        "finished_at": _moment(step.finished_at),
        "after": (at - started_at).total_seconds() if at is not None else None,
        "attempts": step.attempts,
        "result": step.result,
        "error": step.error,
        "sends": [_send_json(send) for send in step.sends],
    }


def _send_json(send: TimelineSend) -> dict[str, Any]:
    return {
        "channel": send.channel,
        "status": send.status,
        "reason": send.reason,
        "subject": send.subject,
        "error": send.error,
        "left_at": _moment(send.left_at),
        "decisions": [
            {
                "at": _moment(one.at),
                "action": one.action,
                "reason": one.reason,
                "sentence": one.sentence,
                "until": _moment(one.until),
            }
            for one in send.decisions
        ],
    }


def _digest_json(digest: SimulatedDigest) -> dict[str, Any]:
    mail = sends_told([digest.mail])[0] if digest.mail is not None else None
    return {
        "cadence": digest.cadence,
        "closes_at": _moment(digest.closes_at),
        "is_closed": digest.is_closed,
        "waiting_before": digest.waiting_before,
        "titles": digest.titles,
        "mail": _send_json(mail) if mail is not None else None,
    }


def _happening_json(happening: Happening) -> dict[str, Any]:
    return {
        "at": _moment(happening.at),
        "what": happening.what,
        "name": happening.name,
        "data": happening.data,
        "effect": happening.effect,
    }


def summary_json(courses: Sequence[Course]) -> dict[str, Any]:
    """What all of them come to: runs by how they ended, steps reached by path, sends by channel and by reason."""
    runs = [(run, course.world.definition) for course in courses for run in course.runs]
    steps = [step for run, definition in runs for step in run.timeline(definition)]
    sends = [send for step in steps for send in step.sends]
    return {
        "people": len(courses),
        "runs": _counted(run.status.value for run, _ in runs),
        "steps": _counted(step.path for step in steps if step.status != NOT_REACHED),
        "left": _counted(send.channel for send in sends if send.left_at is not None),
        "held_back": _counted(send.reason for send in sends if send.left_at is None),
        "digests": sum(one.mail is not None for course in courses for one in course.outbox.windows.all),
    }


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _moment(moment: dt.datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment is not None else None
