"""Starting a workflow for many people, in the background: chunk by chunk, each in a transaction with its cursor."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.db import transaction

from accounts.models import Membership, Organization
from accounts.selectors import members_of
from castcomm.common.clock import now
from castcomm.common.errors import CastCommError, Conflict, InvalidInput
from castcomm.common.ids import new_id
from workflows.engine.live import person_of
from workflows.engine.values import ExecutionValues
from workflows.expressions import ExpressionError, evaluate, parse
from workflows.models import MassStart, Workflow
from workflows.services.inputs import check_data
from workflows.services.triggering import trigger_workflow

log = structlog.get_logger(__name__)

CHUNK = 200
MAX_USERS = 10_000


def begin_mass_start(
    *,
    workflow: Workflow,
    users: Sequence[uuid.UUID] | None = None,
    audience: str = "",
    data: Mapping[str, Any] | None = None,
    source: str = "python",
) -> MassStart:
    """Start the workflow for these members, or for all for whom the expression ``audience`` is true; in the background.

    Raises InvalidInput, and Conflict when the workflow cannot start.
    """
    if (users is None) is (not audience):
        raise InvalidInput("Give users or an audience, one of them.", attr="users")
    if users is not None and not 0 < len(users) <= MAX_USERS:
        raise InvalidInput(f"1 to {MAX_USERS} people.", attr="users")
    if audience:
        _check_audience(audience)
    if not workflow.is_active or workflow.current_version_id is None:
        raise Conflict(f"The workflow {workflow.key!r} is switched off or not published.", code="inactive")
    made: MassStart = MassStart.objects.create(
        organization_id=workflow.organization_id,
        workflow=workflow,
        source=source,
        occurrence=f"{source}:{new_id()}",
        audience=audience,
        users=[str(one) for one in sorted(set(users))] if users is not None else None,
        data=check_data(data),
    )
    return made


def _check_audience(audience: str) -> None:
    try:
        parse(audience)
    except ExpressionError as error:
        raise InvalidInput(str(error), attr="audience") from error


def lead_on_mass_starts(*, budget: float = 20.0) -> int:
    """Do chunks of what is under way, in turn, for at most ``budget`` seconds; returns how many people were looked at.

    Two workers take different ones; one that dies leaves its chunk undone and the cursor where it was.
    """
    deadline, seen = time.monotonic() + budget, 0
    while time.monotonic() < deadline:
        looked_at = _chunk()
        if looked_at is None:
            break
        seen += looked_at
    return seen


def _chunk() -> int | None:
    with transaction.atomic():
        under_way = MassStart.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            finished_at=None
        )
        # The least advanced first: a large one does not hold up the small ones.
        mass = (
            under_way.select_related("workflow", "organization").order_by("looked_at", "created_at").first()
        )
        if mass is None:
            return None
        members = _next_members(mass)
        for member in members:
            mass.started += _start(mass, member)
        mass.looked_at += len(members)
        if members:
            mass.cursor = members[-1].user_id
        if len(members) < CHUNK:
            mass.finished_at = now()
        mass.save()
        return len(members)


def _next_members(mass: MassStart) -> list[Membership]:
    members = members_of(mass.organization_id).order_by("user_id")
    if mass.users is not None:
        members = members.filter(user__in=mass.users)
    if mass.cursor is not None:
        members = members.filter(user__gt=mass.cursor)
    return list(members.select_related("organization")[:CHUNK])


def _start(mass: MassStart, member: Membership) -> bool:
    organization: Organization = mass.organization
    try:
        if mass.audience and not _is_meant(mass, member):
            return False
        with transaction.atomic():
            trigger_workflow(
                organization=organization,
                workflow=mass.workflow.key,
                user=member.user,
                data=mass.data,
                idempotency_key=f"{mass.occurrence}:{member.user_id}",
                source=mass.source,
            )
    except (CastCommError, ExpressionError) as error:
        # Others are not held up; the last sentence is kept.
        mass.error = str(error)[:2000]
        return False
    return True


def _is_meant(mass: MassStart, member: Membership) -> bool:
    values = ExecutionValues(data={}, person=person_of(member), results=dict)
    return evaluate(mass.audience, values, now=mass.created_at).value is True
