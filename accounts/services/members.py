"""Staff add people to their organization and change what they may do there."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.models import Membership, Organization, User
from accounts.models.organizations import Role
from accounts.services.organizations import add_member, check_domain_role, check_role
from accounts.services.users import clean_email, merge_attributes, register_user
from castcomm.common.errors import Conflict, InvalidInput, NotPermitted
from castcomm.realtime import sessions

_ADMINS = frozenset({Role.OWNER, Role.ADMIN})


def admit_member(
    *,
    organization: Organization,
    by: Membership | None,
    email: str,
    role: str = Role.MEMBER,
    domain_role: str = "",
    **person: Any,
) -> Membership:
    """Make the person with this address a member, with a new account when there is none.

    ``by`` is who does it; None is an API key with the scope ``admin``. What is said about the person
    (names, phone, attributes) counts for a new account only: an existing one belongs to its person.
    Raises InvalidInput, Conflict (a member already) and NotPermitted (a role above the caller's).
    """
    _check_may_grant(by, role)
    with transaction.atomic():
        known = User.objects.filter(email=clean_email(email)).first()
        if known is None:
            known = register_user(
                email=email, organization=organization, role=role, domain_role=domain_role, **person
            )
        else:
            add_member(organization=organization, user=known, role=role, domain_role=domain_role)
        found: Membership = Membership.objects.select_related("user").get(
            organization=organization, user=known
        )
    return found


def change_member(*, membership: Membership, by: Membership | None, changes: Mapping[str, Any]) -> Membership:
    """Change ``role``, ``domain_role``, ``is_active`` or ``attributes`` of a member.

    Raises NotPermitted for what is above the caller's role, and Conflict when the last owner would go,
    or when attributes are set for someone who belongs to other organizations too.
    """
    unknown = set(changes) - {"role", "domain_role", "is_active", "attributes"}
    if unknown:
        raise InvalidInput("This cannot be changed here.", attr=min(unknown))
    with transaction.atomic():
        # All owners are locked, so that two of them cannot resign at the same time.
        owners = list(
            Membership.objects.select_for_update()
            .filter(organization=membership.organization_id, role=Role.OWNER, is_active=True)
            .order_by("id")
            .values_list("id", flat=True)
        )
        row: Membership = Membership.objects.select_for_update().get(id=membership.id)
        role = check_role(changes.get("role", row.role))
        active = bool(changes.get("is_active", row.is_active))
        if role != row.role or active != row.is_active:
            _check_may_grant(by, row.role)
            _check_may_grant(by, role)
        if owners == [row.id] and (role != Role.OWNER or not active):
            raise Conflict("An organization keeps at least one owner.", attr="role", code="last_owner")
        row.role, row.is_active = role, active
        row.domain_role = check_domain_role(changes.get("domain_role", row.domain_role))
        row.save(update_fields=["role", "is_active", "domain_role"])
        if not active:
            # Their open sockets would otherwise listen on until a later heartbeat.
            transaction.on_commit(functools.partial(sessions.revoke, row.user_id))
        if "attributes" in changes:
            _set_attributes(row, changes["attributes"])
    changed: Membership = Membership.objects.select_related("user").get(id=row.id)
    return changed


def _set_attributes(membership: Membership, attributes: Mapping[str, Any]) -> None:
    user = User.objects.select_for_update().get(id=membership.user_id)
    if user.memberships.filter(is_active=True).exclude(id=membership.id).exists():
        raise Conflict(
            "This person belongs to other organizations too; their attributes are not yours alone.",
            attr="attributes",
        )
    user.attributes = merge_attributes(user.attributes, attributes)
    user.save(update_fields=["attributes"])


def _check_may_grant(by: Membership | None, role: str) -> None:
    """Owners grant everything, admins (and keys with the scope ``admin``) all but owner, staff only member."""
    if role == Role.MEMBER or (by is not None and by.role == Role.OWNER):
        return
    if role != Role.OWNER and (by is None or by.role in _ADMINS):
        return
    raise NotPermitted("This role is above yours.", attr="role")
