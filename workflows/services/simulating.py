"""Simulation: what a workflow would do for these people, without doing any of it.

It runs in a transaction that PostgreSQL holds to reading: no row changes, whatever a step tries. Nothing goes to Redis,
to workers or to another system.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from castcomm.common.read_only import reading_only
from workflows.definition import validate_definition
from workflows.models import Workflow, WorkflowVersion
from workflows.services.inputs import check_data
from workflows.simulation.assumptions import Assumptions, read_assumptions
from workflows.simulation.course import Course
from workflows.simulation.world import CHUNK, read_world

HORIZON = dt.timedelta(days=30)
LONGEST = dt.timedelta(days=400)
FARTHEST = dt.timedelta(days=731)  # of the start, from now
MAX_PEOPLE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What was simulated, and each person's course in the order in which they were named."""

    definition: Mapping[str, Any]
    version: int | None
    start: dt.datetime
    until: dt.datetime
    data: Mapping[str, Any]
    assumptions: Assumptions
    courses: Sequence[Course]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The definition to try: a version's (with its number), the draft's, or one that is not saved."""

    definition: Mapping[str, Any]
    version: int | None


def simulate_workflow(
    *,
    organization: Organization,
    users: Sequence[uuid.UUID],
    workflow: Workflow | None = None,
    definition: Any = None,
    version: int | None = None,
    start: dt.datetime | None = None,
    data: Mapping[str, Any] | None = None,
    assumptions: Any = None,
    horizon: dt.timedelta = HORIZON,
    rendering: bool = False,
) -> Simulation:
    """Let ``horizon`` pass from ``start`` (now) for each of ``users``, active members, as if each had just started.

    ``definition`` is what is tried, else the ``version`` of ``workflow``, else its draft. ``assumptions`` is as in
    ``workflows.simulation.assumptions``. ``rendering`` fills in the subjects of what would go out. Raises
    InvalidInput that names the field, DefinitionInvalid, and writes nothing.
    """
    begins = _checked_start(start)
    _check_bounds(users, horizon)
    checked, assumed = check_data(data), read_assumptions(assumptions)
    with reading_only():
        chosen = choose_definition(workflow=workflow, definition=definition, version=version)
        courses = _courses(
            organization,
            workflow,
            chosen.definition,
            users,
            checked,
            assumed,
            begins,
            begins + horizon,
            rendering,
        )
        played = list(courses)
    return Simulation(
        definition=chosen.definition,
        version=chosen.version,
        start=begins,
        until=begins + horizon,
        data=checked,
        assumptions=assumed,
        courses=played,
    )


def choose_definition(*, workflow: Workflow | None, definition: Any, version: int | None) -> Chosen:
    """What is to be tried; raises InvalidInput when there is no such version, DefinitionInvalid for a bad one."""
    if definition is not None:
        return Chosen(definition=validate_definition(definition), version=None)
    if workflow is None:
        raise InvalidInput("Give a workflow or a definition.", attr="definition", code="required")
    if version is None:
        return Chosen(definition=validate_definition(workflow.definition), version=None)
    found = WorkflowVersion.objects.filter(workflow=workflow, number=version).first()
    if found is None:
        raise InvalidInput(f"There is no version {version}.", attr="version", code="unknown_version")
    return Chosen(definition=found.definition, version=version)


def _courses(
    organization: Organization,
    workflow: Workflow | None,
    definition: Mapping[str, Any],
    users: Sequence[uuid.UUID],
    data: Mapping[str, Any],
    assumed: Assumptions,
    start: dt.datetime,
    until: dt.datetime,
    rendering: bool,
) -> Iterator[Course]:
    """A chunk of people is read at a time; each is played through before the next."""
    event = str(definition.get("triggerEvent", ""))
    for first in range(0, len(users), CHUNK):
        chunk = users[first : first + CHUNK]
        world = read_world(
            organization=organization,
            workflow=workflow,
            definition=definition,
            user_ids=chunk,
            now=current_time(),
        )
        for position, user_id in enumerate(chunk, start=first):
            person = world.people.get(user_id)
            if person is None:
                raise InvalidInput(
                    f"No active member has the id {user_id}.", attr=f"users.{position}", code="unknown_user"
                )
            course = Course(world, person, assumed, start=start, until=until, rendering=rendering)
            yield course.play(data, event=event)


def _checked_start(start: dt.datetime | None) -> dt.datetime:
    now = current_time()
    if start is None:
        return now
    if start.tzinfo is None:
        raise InvalidInput("A moment with its offset, such as 2026-12-01T09:00:00Z.", attr="start")
    if abs(start - now) > FARTHEST:
        raise InvalidInput(f"At most {FARTHEST.days} days from now.", attr="start")
    return start.astimezone(dt.UTC)


def _check_bounds(users: Sequence[uuid.UUID], horizon: dt.timedelta) -> None:
    if not users:
        raise InvalidInput("Name at least one person.", attr="users", code="required")
    if len(users) > MAX_PEOPLE:
        raise InvalidInput(f"At most {MAX_PEOPLE} people.", attr="users")
    if not dt.timedelta() < horizon <= LONGEST:
        raise InvalidInput(f"More than zero, at most {LONGEST.days} days.", attr="days")
