"""What a simulation knows before it begins, read for all its people at once."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import Organization
from accounts.selectors import members_of
from notifications.services.simulating.surroundings import Surroundings, read_surroundings
from workflows.engine.live import person_of
from workflows.engine.ports import Person
from workflows.models import ExperimentAssignment, Reentry, Workflow

CHUNK = 500  # people read with one statement each


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A definition and the people whom it is tried on; ``workflow`` is None for one that was never saved.

    ``variants`` has the experiments in which people are already, by the experiment's key.
    """

    organization: Organization
    workflow: Workflow | None
    definition: Mapping[str, Any]
    people: Mapping[uuid.UUID, Person]
    surroundings: Surroundings
    variants: Mapping[uuid.UUID, Mapping[str, str]]

    @property
    def reentry(self) -> str:
        """Whether a person may go through it again."""
        return self.workflow.reentry if self.workflow is not None else Reentry.ALWAYS.value


def read_world(
    *,
    organization: Organization,
    workflow: Workflow | None,
    definition: Mapping[str, Any],
    user_ids: Sequence[uuid.UUID],
    now: dt.datetime,
) -> World:
    """Read a chunk of people; those who are no active members are left out."""
    members = members_of(organization).filter(user_id__in=list(user_ids)).select_related("organization")
    people = {membership.user_id: person_of(membership) for membership in members}
    surroundings = read_surroundings(organization_id=organization.id, user_ids=list(people), now=now)
    return World(
        organization=organization,
        workflow=workflow,
        definition=definition,
        people=people,
        surroundings=surroundings,
        variants=_variants(organization, list(people)),
    )


def _variants(organization: Organization, user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, str]]:
    made: dict[uuid.UUID, dict[str, str]] = {}
    rows = ExperimentAssignment.objects.for_organization(organization).filter(user_id__in=user_ids)
    for user_id, experiment, variant in rows.values_list("user_id", "experiment", "variant"):
        made.setdefault(user_id, {})[experiment] = variant
    return made
