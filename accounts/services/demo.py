"""The people of the demo: an organization with one of its staff and two members, all clearly marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction

from accounts.models import Organization, User
from accounts.models.organizations import Role
from accounts.selectors import get_membership
from accounts.services.organizations import add_member, create_organization
from accounts.services.users import register_user
from castcomm.common.errors import NotPermitted

SLUG = "demo"
PASSWORD = "demo-castcomm"  # noqa: S105 (printed for everyone to see, and refused outside of DEBUG)
STAFF, ACTOR, DIRECTOR = (
    "demo-staff@example.com",
    "demo-actor@example.com",
    "demo-director@example.com",
)
_PEOPLE: dict[str, dict[str, Any]] = {
    STAFF: {"last_name": "Staff", "role": Role.OWNER},
    ACTOR: {"last_name": "Actor", "domain_role": "ACTOR", "attributes": {"profile_completion": 30}},
    DIRECTOR: {"last_name": "Director", "domain_role": "DIRECTOR", "attributes": {"profile_completion": 80}},
}


@dataclass(frozen=True)
class DemoPeople:
    """What was loaded. ``lines`` say how to sign in; ``created`` is False when it was all there before."""

    organization: Organization
    users: dict[str, User]
    password: str
    created: bool

    @property
    def lines(self) -> list[str]:
        return [f"{email}  password {self.password}" for email in self.users]


def load(*, allow_outside_debug: bool = False) -> DemoPeople:
    """Make the demo organization and its people where they are missing; safe to call again.

    Raises NotPermitted unless DEBUG is on or ``allow_outside_debug`` is given: everyone knows the password.
    """
    if not settings.DEBUG and not allow_outside_debug:
        raise NotPermitted("The demo has passwords that everyone knows; it is loaded only while DEBUG is on.")
    with transaction.atomic():
        organization = Organization.objects.filter(slug=SLUG).first()
        created = organization is None
        if organization is None:
            organization = create_organization(name="Demo", slug=SLUG, open_sign_up=True)
        users: dict[str, User] = {}
        for email, person in _PEOPLE.items():
            users[email], is_new = _load_person(organization, email, person)
            created = created or is_new
    return DemoPeople(organization=organization, users=users, password=PASSWORD, created=created)


def _load_person(organization: Organization, email: str, person: dict[str, Any]) -> tuple[User, bool]:
    user = User.objects.filter(email=email).first()
    is_new = user is None
    if user is None:
        user = register_user(
            email=email, organization=organization, password=PASSWORD, first_name="Demo", **person
        )
    elif get_membership(user, organization) is None:
        add_member(
            organization=organization,
            user=user,
            role=person.get("role", Role.MEMBER),
            domain_role=person.get("domain_role", ""),
        )
    if email == STAFF and not user.is_superuser:
        user.is_staff = user.is_superuser = True
        user.save(update_fields=["is_staff", "is_superuser"])
    EmailAddress.objects.update_or_create(
        user=user, email=email, defaults={"verified": True, "primary": True}
    )
    return user, is_new
