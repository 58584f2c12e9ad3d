"""Backtest: what would have been different for the people who went through a workflow, had it been another one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from castcomm.common.read_only import reading_only
from workflows.models import Execution, ExecutionStatus, Workflow
from workflows.selectors import executions_of, timelines_of
from workflows.services.simulating import LONGEST, choose_definition
from workflows.simulation.assumptions import Assumptions
from workflows.simulation.course import Course
from workflows.simulation.differences import KINDS, Difference, Told, differences
from workflows.simulation.recorded import events_of, recorded_assumptions
from workflows.simulation.world import CHUNK, World, read_world
from workflows.timelines import TimelineStep

MAX_LAST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An execution, and what would have been different.

    That is None when its person is no member any more, and for one that was collected into another: alone it would not
    have been.
    """

    execution: Execution
    differences: Sequence[Difference] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """``version`` is None when a draft was tried. The latest execution comes first."""

    version: int | None
    compared: Sequence[Compared]

    def counts(self) -> dict[str, int]:
        """How many executions were tried, would differ or could not be tried, and how many have each difference."""
        kinds = Counter(
            kind for one in self.compared for kind in {each.kind for each in one.differences or ()}
        )
        return {
            "executions": len(self.compared),
            "different": sum(bool(one.differences) for one in self.compared),
            "not_tried": sum(one.differences is None for one in self.compared),
            **{kind: kinds[kind] for kind in KINDS},
        }


def backtest_workflow(
    *,
    organization: Organization,
    workflow: Workflow,
    last: int = 100,
    definition: Any = None,
    version: int | None = None,
) -> Backtest:
    """Try ``definition`` (else the ``version``, else the draft) on the ``last`` executions, with what they recorded.

    Each starts when it did, with its data; events come and attributes are what they were at their times. Who is still
    under way is compared as of now. Preferences are those of today, so what is compared is what would be sent, not on
    which channels it would arrive. Writes nothing. Raises InvalidInput, DefinitionInvalid.
    """
    if not 1 <= last <= MAX_LAST:
        raise InvalidInput(f"From 1 to {MAX_LAST} executions.", attr="last")
    with reading_only():
        chosen = choose_definition(workflow=workflow, definition=definition, version=version)
        found = list(
            executions_of(organization).filter(workflow=workflow).order_by("-created_at", "-id")[:last]
        )
        compared = [
            one
            for first in range(0, len(found), CHUNK)
            for one in _compared(organization, workflow, chosen.definition, found[first : first + CHUNK])
        ]
    return Backtest(version=chosen.version, compared=compared)


def _compared(
    organization: Organization, workflow: Workflow, definition: Mapping[str, Any], chunk: Sequence[Execution]
) -> Iterator[Compared]:
    now = current_time()
    user_ids: list[uuid.UUID] = list(dict.fromkeys(execution.user_id for execution in chunk))
    world = read_world(
        organization=organization, workflow=workflow, definition=definition, user_ids=user_ids, now=now
    )
    timelines, events = timelines_of(chunk), events_of(chunk)
    for execution in chunk:
        timeline = timelines[execution.id]
        recorded = recorded_assumptions(execution, timeline, events.get(execution.user_id, ()))
        can_be = execution.user_id in world.people and execution.status != ExecutionStatus.DIGESTED
        found = _tried(world, execution, timeline, recorded, now) if can_be else None
        yield Compared(execution=execution, differences=found)


def _tried(
    world: World,
    execution: Execution,
    timeline: Sequence[TimelineStep],
    recorded: Assumptions,
    now: dt.datetime,
) -> list[Difference]:
    is_running = execution.status == ExecutionStatus.RUNNING
    course = Course(
        world,
        world.people[execution.user_id],
        recorded,
        start=execution.started_at,
        until=now if is_running else execution.started_at + LONGEST,
    ).play(execution.data, event=execution.event)
    run = course.runs[0]
    return differences(
        Told(timeline=timeline, status=execution.status, reason=execution.reason),
        Told(timeline=run.timeline(world.definition), status=run.status.value, reason=run.reason),
    )
