"""How the WebSocket learns who is there: access tokens, session cookies, and the end of a session."""

from __future__ import annotations

import functools
from typing import Any
from uuid import UUID

from allauth.account.signals import password_changed, password_reset, password_set
from allauth.headless.tokens.strategies.jwt.internal import session_key_from_sid, validate_access_token
from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete
from django.http import HttpRequest

from accounts.models import User
from accounts.selectors import find_membership_id, memberships_of
from castcomm.realtime import auth, sessions


@auth.register_token_authenticator
def identify_access_token(token: str, organization_hint: str | None) -> auth.Identity | None:
    """The person behind an access token of allauth headless."""
    found = validate_access_token(token)
    if found is None or not found[0].is_active:
        return None
    user, payload = found
    organization_id = resolve_organization(user.pk, organization_hint)
    if organization_id is None:
        return None
    key = session_key_of_token(payload)
    return auth.Identity(user.pk, organization_id, auth.session_credential(key) if key else "", key)


@auth.register_organization_resolver
def resolve_organization(user_id: UUID, hint: str | None) -> UUID | None:
    """The organization with this slug or id when the person is a member; without a hint their oldest one."""
    if hint:
        return find_membership_id(user_id, hint)
    oldest = memberships_of(user_id).first()
    return oldest.organization_id if oldest is not None else None


def session_key_of_token(payload: dict[str, Any]) -> str:
    """The key of the session behind an access token; empty when it cannot be read."""
    return session_key_from_sid(payload["sid"]) or ""


def close_sockets(sender: Any, request: HttpRequest | None, user: User | None, **_: Any) -> None:
    """Signing out ends the sockets that came with this session."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    if user is not None and key:
        sessions.revoke(user.pk, credential=auth.session_credential(key))


def close_all_sockets(sender: Any, user: User, **_: Any) -> None:
    """A new password ends every session but the one that set it, which has a new key: all sockets open anew."""
    transaction.on_commit(functools.partial(sessions.revoke, user.pk))


def close_sockets_of_session(sender: Any, instance: UserSession, **_: Any) -> None:
    """Ending a session from the list of sessions ends its sockets."""
    credential = auth.session_credential(instance.session_key)
    transaction.on_commit(functools.partial(sessions.revoke, instance.user_id, credential=credential))


user_logged_out.connect(close_sockets, dispatch_uid="accounts.close_sockets")
post_delete.connect(
    close_sockets_of_session, sender=UserSession, dispatch_uid="accounts.close_sockets_of_session"
)
for _news in (password_changed, password_set, password_reset):
    _news.connect(close_all_sockets, dispatch_uid="accounts.close_all_sockets")
