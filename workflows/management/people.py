"""What the commands about workflows share: whom and what their arguments name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError

from accounts.models import Organization, User
from accounts.selectors import find_organization
from workflows.models import Workflow
from workflows.selectors import find_member


def find_people(named: Sequence[str], slug: str) -> tuple[Organization, list[User]]:
    """The organization and its members with these addresses or ids; raises CommandError."""
    organization, first = find_person(named[0], slug)
    return organization, [first, *(find_person(one, organization.slug)[1] for one in named[1:])]


def find_person(named: str, slug: str) -> tuple[Organization, User]:
    """A member, of the only organization that they belong to unless it is named; raises CommandError."""
    if slug:
        organization = organization_named(slug)
        user = find_member(organization, named)
        if user is None:
            raise CommandError(f"{named} is no active member of {slug}.")
        return organization, user
    found = [
        (organization, user)
        for organization in Organization.objects.filter(is_active=True)
        if (user := find_member(organization, named)) is not None
    ]
    if not found:
        raise CommandError(f"No active member of any organization is {named}.")
    if len(found) > 1:
        slugs = ", ".join(organization.slug for organization, _ in found)
        raise CommandError(f"{named} belongs to several organizations; name one with --organization: {slugs}")
    return found[0]


def organization_named(slug: str) -> Organization:
    """The active organization; without a slug the only one that there is. Raises CommandError."""
    if slug:
        organization = find_organization(slug)
        if organization is None:
            raise CommandError(f"There is no active organization {slug!r}.")
        return organization
    active = list(Organization.objects.filter(is_active=True)[:2])
    if len(active) != 1:
        raise CommandError("Name the organization with --organization SLUG.")
    return active[0]


def find_workflow(organization: Organization, key: str) -> Workflow:
    """The organization's workflow with this key; raises CommandError."""
    workflow: Workflow | None = (
        Workflow.objects.for_organization(organization)
        .filter(key=key)
        .select_related("current_version")
        .first()
    )
    if workflow is None:
        raise CommandError(f"There is no workflow {key!r} in {organization.slug}.")
    return workflow


def read_json(text: str, option: str) -> Any:
    """The value of an option that is JSON; raises CommandError."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{option} is not JSON: {error}") from error
