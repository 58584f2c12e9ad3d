"""Writes about organizations and who belongs to them."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts.events import MemberAdded
from accounts.models import Membership, Organization, User
from accounts.models.organizations import Role
from castcomm.common import events
from castcomm.common.errors import Conflict, InvalidInput

_DOMAIN_ROLE_LENGTH = 50


def create_organization(
    *,
    name: str,
    slug: str = "",
    time_zone: str = "UTC",
    locale: str = "en",
    owner: User | None = None,
    open_sign_up: bool = False,
) -> Organization:
    """Make an organization, and ``owner`` its owner; raises Conflict when the slug is taken.

    With ``open_sign_up`` everybody who names it when signing up becomes a member.
    """
    name = name.strip()
    slug = slug or slugify(name)[:80]
    if not name or len(name) > 200:
        raise InvalidInput("A name has 1 to 200 characters.", attr="name")
    if not slug or slugify(slug) != slug or len(slug) > 80:
        raise InvalidInput("A slug has 1 to 80 lower-case letters, digits and hyphens.", attr="slug")
    with transaction.atomic():
        try:
            with transaction.atomic():
                organization = Organization.objects.create(
                    name=name,
                    slug=slug,
                    time_zone=time_zone,
                    locale=locale,
                    open_sign_up=open_sign_up,
                )
        except IntegrityError as error:
            raise Conflict("This slug is taken.", attr="slug", code="slug_taken") from error
        if owner is not None:
            add_member(organization=organization, user=owner, role=Role.OWNER)
    return organization


def add_member(
    *,
    organization: Organization,
    user: User,
    role: str = Role.MEMBER,
    domain_role: str = "",
    announce: bool = True,
) -> Membership:
    """Make ``user`` a member; a former member becomes active again with the new roles.

    Publishes MemberAdded for someone new here, unless ``announce`` is off. Raises InvalidInput for an
    unknown role and Conflict when ``user`` is an active member already.
    """
    role = check_role(role)
    domain_role = check_domain_role(domain_role)
    with transaction.atomic():
        membership, created = Membership.objects.get_or_create(
            organization=organization, user=user, defaults={"role": role, "domain_role": domain_role}
        )
        if not created:
            if membership.is_active:
                raise Conflict("This person is a member already.", attr="email", code="already_member")
            membership.role, membership.domain_role, membership.is_active = role, domain_role, True
            membership.save(update_fields=["role", "domain_role", "is_active"])
        if announce:
            events.publish(MemberAdded(user_id=user.id, organization_id=organization.id))
    return membership


def check_role(role: str) -> str:
    """``role`` when it is one of Role; raises InvalidInput."""
    if role not in Role.values:
        raise InvalidInput(f"Unknown role; one of {', '.join(Role.values)}.", attr="role")
    return role


def check_domain_role(domain_role: str) -> str:
    """``domain_role`` when it is one short word; raises InvalidInput."""
    domain_role = domain_role.strip()
    if len(domain_role) > _DOMAIN_ROLE_LENGTH or not domain_role.isprintable():
        raise InvalidInput(
            f"At most {_DOMAIN_ROLE_LENGTH} characters.", attr="domain_role", code="max_length"
        )
    return domain_role
