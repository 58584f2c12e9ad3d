"""In which organization a request works, for whom, and what they may do there.

The organization follows from the credential. An API key belongs to one. A person who belongs to several
names one in ``X-Organization`` (slug or id); one they do not belong to looks as if it did not exist.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.models import ApiKey, Membership, Organization, User
from accounts.selectors import find_membership, memberships_of
from accounts.services.api_keys import SCOPES
from castcomm.common.errors import InvalidInput, NotFound, NotPermitted
from castcomm.common.ids import parse_id

if TYPE_CHECKING:
    # DRF's views load the default permissions, which stand here: they can only be named to the type checker.
    from rest_framework.views import APIView

HEADER = "X-Organization"


@dataclass(frozen=True)
class Tenant:
    """Who calls, and in which organization. Either ``membership`` or ``key`` is set."""

    organization: Organization
    membership: Membership | None = None
    key: ApiKey | None = None

    @property
    def actor(self) -> str:
        """``user:<id>`` or ``key:<id>``."""
        if self.membership is not None:
            return f"user:{self.membership.user_id}"
        assert self.key is not None
        return f"key:{self.key.id}"

    @property
    def is_staff(self) -> bool:
        """A person who works for the organization (not a key)."""
        return self.membership is not None and self.membership.is_staff

    def has_scope(self, scope: str) -> bool:
        """Staff have every scope; a key has those it was given, and ``admin`` means all."""
        if self.key is not None:
            return scope in self.key.scopes or "admin" in self.key.scopes
        return self.is_staff


def resolve_tenant(request: Request) -> Tenant:
    """The tenant of this request; found once, then remembered. At most one query.

    Raises NotAuthenticated, NotPermitted (no organization), NotFound (not a member of the named one)
    and InvalidInput (several organizations and none named).
    """
    known: Tenant | None = getattr(request, "tenant", None)
    if known is not None:
        return known
    named = request.headers.get(HEADER, "").strip()
    if isinstance(request.auth, ApiKey):
        tenant = _tenant_of_key(request.auth, named)
    elif isinstance(request.user, User):
        tenant = _tenant_of_person(request.user, named)
    else:
        raise NotAuthenticated("Sign in, or send an API key.")
    request.tenant = tenant  # type: ignore[attr-defined]
    request.organization = tenant.organization  # type: ignore[attr-defined]
    structlog.contextvars.bind_contextvars(organization_id=str(tenant.organization.id), actor=tenant.actor)
    return tenant


def _tenant_of_key(key: ApiKey, named: str) -> Tenant:
    organization = key.organization
    if named and named != organization.slug and parse_id(named) != organization.id:
        raise NotFound("There is no such organization.", attr=HEADER)
    return Tenant(organization=organization, key=key)


def _tenant_of_person(user: User, named: str) -> Tenant:
    if named:
        membership = find_membership(user, named)
        if membership is None:
            raise NotFound("There is no such organization.", attr=HEADER)
    else:
        candidates = list(memberships_of(user)[:2])
        if not candidates:
            raise NotPermitted("This account belongs to no organization.", code="no_organization")
        if len(candidates) > 1:
            raise InvalidInput(
                f"This account belongs to several organizations; name one in {HEADER}.",
                attr=HEADER,
                code="organization_required",
            )
        membership = candidates[0]
    # The user is loaded already; spare whoever follows the relation a query.
    membership.user = user
    return Tenant(organization=membership.organization, membership=membership)


class IsMember(BasePermission):
    """A person who belongs to the organization.

    An API key passes only where the view asks for a scope as well (``[IsMember, HasScope("…")]``): a view
    that names no scope is for people.
    """

    message = "This is for people who are signed in; an API key has no rights here."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if resolve_tenant(request).key is None:
            return True
        return any(isinstance(permission, _ScopePermission) for permission in view.get_permissions())


class IsPerson(BasePermission):
    """A person who is signed in, whatever their organizations; keys never pass."""

    message = "This is for people; an API key has no profile."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user or not request.user.is_authenticated:
            raise NotAuthenticated("Sign in, or send an access token.")
        return isinstance(request.user, User)


class IsStaffMember(BasePermission):
    """A person who works for the organization (owner, admin, staff), or a key with the scope ``admin``."""

    message = "This is for staff of the organization."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return resolve_tenant(request).has_scope("admin")


class IsOrganizationAdmin(BasePermission):
    """A person who runs the organization (owner, admin); keys never pass."""

    message = "This is for owners and admins of the organization."

    def has_permission(self, request: Request, view: APIView) -> bool:
        membership = resolve_tenant(request).membership
        return membership is not None and membership.role in {"owner", "admin"}


class _ScopePermission(BasePermission):
    scope = ""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return resolve_tenant(request).has_scope(self.scope)


@functools.cache
def HasScope(scope: str) -> type[BasePermission]:
    """A permission class: API keys need ``scope`` (or ``admin``), staff pass, other members do not.

    For a view that ordinary members use too, write ``IsMember | HasScope("…")``.
    """
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope!r}; known: {', '.join(SCOPES)}")
    message = f"This needs the scope {scope}, or staff of the organization."
    return type("HasScope", (_ScopePermission,), {"scope": scope, "message": message})
