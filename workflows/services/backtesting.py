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
from castcomm.common.errors import InvalidInput, NotFound
from castcomm.common.read_only import reading_only
from workflows.models import Execution, ExecutionStatus, Workflow
from workflows.selectors import executions_of, timeline_of, timelines_of
from workflows.services.simulating import LONGEST, choose_definition
from workflows.simulation.assumptions import Assumptions
from workflows.simulation.course import Course
from workflows.simulation.differences import KINDS, Difference, Told, differences
from workflows.simulation.recorded import events_of, recorded_assumptions
from workflows.simulation.world import CHUNK, World, read_world
from workflows.timelines import TimelineStep, comparable

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A run that happened and the same run simulated, as ``timelines.comparable`` tells them."""

    execution: Execution
    real: Sequence[Mapping[str, Any]]
    simulated: Sequence[Mapping[str, Any]]

    @property
    def is_identical(self) -> bool:
        """Whether steps, relative times, results and sends are the same."""
        return self.real == self.simulated


def simulate_beside(*, organization: Organization, execution_id: uuid.UUID) -> Beside:
    """Simulate the version that a run went through, from when it began, with what it recorded; raises NotFound.

    Delays that ``DEMO_TIME_SCALE`` had divided count in full; then times are compared to the minute.
    """
    execution = executions_of(organization).filter(id=execution_id).first()
    if execution is None:
        raise NotFound("There is no such execution.")
    real = timeline_of(execution)
    is_scaled = any("time_scale" in (step.result or {}) for step in real)
    resolution = dt.timedelta(minutes=1) if is_scaled else dt.timedelta(seconds=1)
    with reading_only():
        world = read_world(
            organization=organization,
            workflow=execution.workflow,
            definition=execution.version.definition,
            user_ids=[execution.user_id],
            now=current_time(),
        )
        if execution.user_id not in world.people:
            raise NotFound("The person is no active member any more.")
        recorded = recorded_assumptions(execution, real, events_of([execution]).get(execution.user_id, ()))
        run = _played(world, execution, recorded, current_time()).runs[0]
    return Beside(
        execution=execution,
        real=comparable(real, resolution=resolution),
        simulated=comparable(run.timeline(world.definition), resolution=resolution),
    )


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
    run = _played(world, execution, recorded, now).runs[0]
    return differences(
        Told(timeline=timeline, status=execution.status, reason=execution.reason),
        Told(timeline=run.timeline(world.definition), status=run.status.value, reason=run.reason),
    )


def _played(world: World, execution: Execution, recorded: Assumptions, now: dt.datetime) -> Course:
    """The execution's course under the world's definition; one that is under way only until now."""
    is_running = execution.status == ExecutionStatus.RUNNING
    return Course(
        world,
        world.people[execution.user_id],
        recorded,
        start=execution.started_at,
        until=now if is_running else execution.started_at + LONGEST,
    ).play(execution.data, event=execution.event)
