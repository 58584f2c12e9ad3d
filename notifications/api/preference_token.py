"""``Authorization: Preferences <token>``: a person who came by the link in a mail, without signing in.

Only views of preferences, digest settings, topics and consents name ``PREFERENCE_AUTHENTICATION``. What such a view
lets a member do, the link lets its person do in its one organization; it never carries the rights of staff.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.api.authentication import ApiKeyAuthentication, JWTAuthentication, SessionAuthentication
from accounts.api.permissions import HEADER, Tenant
from accounts.api.tenancy import TenantMixin
from accounts.models import Membership, User
from accounts.models.organizations import Role
from castcomm.common.errors import NotFound
from castcomm.common.ids import parse_id
from notifications.models import ConsentSource
from notifications.services import preference_links
from notifications.services.consents import Origin, facts_of
from notifications.services.preference_links import PreferenceLink


class PreferenceTokenAuthentication(authentication.BaseAuthentication):
    """The person of the link, as an ordinary member; ``request.auth`` is the link. 401 for one that does not work."""

    keyword = b"preferences"

    def authenticate(self, request: Request) -> tuple[User, PreferenceLink] | None:
        parts = authentication.get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword:
            return None
        link = preference_links.read(parts[1].decode("ascii", "replace")) if len(parts) == 2 else None
        membership = member_of(link) if link is not None else None
        if link is None or membership is None:
            raise AuthenticationFailed("This link does not work, or no longer.")
        organization = membership.organization
        named = request.headers.get(HEADER, "").strip()
        if named and named != organization.slug and parse_id(named) != organization.id:
            raise NotFound("There is no such organization.", attr=HEADER)
        # Set here, so that nothing else that the request says can choose another organization.
        request.tenant = Tenant(organization=organization, membership=membership)  # type: ignore[attr-defined]
        request.organization = organization  # type: ignore[attr-defined]
        return membership.user, link

    def authenticate_header(self, request: Request) -> str:
        return 'Preferences realm="api"'


PREFERENCE_AUTHENTICATION: Sequence[type[authentication.BaseAuthentication]] = (
    ApiKeyAuthentication,
    PreferenceTokenAuthentication,
    JWTAuthentication,
    SessionAuthentication,
)


def member_of(link: PreferenceLink) -> Membership | None:
    """The person's membership with the rights of an ordinary member, unsaved; None when they left."""
    found = (
        Membership.objects.for_organization(link.organization_id)
        .select_related("organization", "user")
        .filter(user_id=link.user_id, is_active=True, user__is_active=True, organization__is_active=True)
        .first()
    )
    if found is None:
        return None
    lowered: Membership = copy.copy(found)
    lowered.role = Role.MEMBER
    return lowered


def origin_of(view: TenantMixin, *, wording: str = "") -> Origin:
    """How a change came about that the person behind ``view`` asks for, for the record."""
    link = view.request.auth
    return Origin(
        source=ConsentSource.SIGNED_LINK if isinstance(link, PreferenceLink) else ConsentSource.SIGNED_IN,
        facts=facts_of(view.request),
        wording=wording,
        delivery_id=link.delivery_id if isinstance(link, PreferenceLink) else None,
    )


class PreferenceTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema describes it."""

    target_class = "notifications.api.preference_token.PreferenceTokenAuthentication"
    name = "PreferenceLink"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Preferences <token of the link in a mail>`",
        }
