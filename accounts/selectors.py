"""Questions about people and organizations. Nothing here writes."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import Membership, Organization, User
from castcomm.common.ids import parse_id


def active_memberships() -> QuerySet[Membership]:
    """Memberships that grant something: active, of an active person, in an active organization."""
    return Membership.objects.filter(is_active=True, user__is_active=True, organization__is_active=True)


def get_membership(user: User | uuid.UUID, organization: Organization | uuid.UUID) -> Membership | None:
    """The active membership of ``user`` in ``organization``, with both loaded, or None."""
    found: Membership | None = (
        active_memberships()
        .filter(user=user, organization=organization)
        .select_related("organization", "user")
        .first()
    )
    return found


def memberships_of(user: User | uuid.UUID) -> QuerySet[Membership]:
    """The active memberships of ``user``, oldest first, with their organizations."""
    return active_memberships().filter(user=user).select_related("organization").order_by("created_at", "id")


def organizations_of(user: User | uuid.UUID) -> QuerySet[Organization]:
    """The organizations that ``user`` belongs to."""
    return Organization.objects.filter(
        is_active=True, memberships__user=user, memberships__is_active=True
    ).distinct()


def belongs_elsewhere(user: User, organization: Organization) -> bool:
    """Whether this account has, or had, a membership in another organization too."""
    return Membership.objects.filter(user=user).exclude(organization=organization).exists()


def organizations_staffed_by(user: User) -> QuerySet[Organization]:
    """The organizations whose records ``user`` may see in the admin; all of them for a superuser."""
    if user.is_superuser:
        return Organization.objects.all()
    return Organization.objects.filter(
        is_active=True,
        memberships__user=user,
        memberships__is_active=True,
        memberships__role__in=Membership.STAFF_ROLES,
    ).distinct()


def members_of(organization: Organization | uuid.UUID) -> QuerySet[Membership]:
    """The active members of ``organization``, with their users."""
    return active_memberships().filter(organization=organization).select_related("user")


def members_by_role(organization: Organization | uuid.UUID, *, domain_role: str) -> QuerySet[Membership]:
    """The active members of ``organization`` who have this domain role (``ACTOR``), with their users."""
    return members_of(organization).filter(domain_role=domain_role)


def _named_membership(user: User | uuid.UUID, organization_name: str) -> QuerySet[Membership]:
    identifier = parse_id(organization_name)
    wanted = {"organization_id": identifier} if identifier else {"organization__slug": organization_name}
    return active_memberships().filter(user=user, **wanted)


def find_membership(user: User, organization_name: str) -> Membership | None:
    """The active membership of ``user`` in the organization with this slug or id, or None."""
    return _named_membership(user, organization_name).select_related("organization").first()


def find_membership_id(user_id: uuid.UUID, organization_name: str) -> uuid.UUID | None:
    """The id of the organization with this slug or id when this person is an active member, else None."""
    found = _named_membership(user_id, organization_name).values_list("organization_id", flat=True)
    return found.first()


def find_organization(slug: str) -> Organization | None:
    """The active organization with this slug, or None."""
    return Organization.objects.filter(slug=slug, is_active=True).first()


def organization_for_sign_up(slug: str = "") -> Organization | None:
    """Where a new person belongs: the named one, else DEFAULT_ORGANIZATION, else the only active one.

    A named one must be open to sign-up, unless it is the one that would be joined without a name. None when
    there is none of this name, when it is closed, or when no name was given and there is no clear answer.
    """
    default = _default_for_sign_up()
    if not slug:
        return default
    named = find_organization(slug)
    if named is not None and (named.open_sign_up or named == default):
        return named
    return None


def _default_for_sign_up() -> Organization | None:
    found = find_organization(settings.DEFAULT_ORGANIZATION) if settings.DEFAULT_ORGANIZATION else None
    if found is not None:
        return found
    candidates = list(Organization.objects.filter(is_active=True)[:2])
    return candidates[0] if len(candidates) == 1 else None
