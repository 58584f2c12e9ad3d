"""Who is at the other end of a socket. The accounts app registers how that is found out."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.utils.crypto import constant_time_compare

from .calls import call_sync

MAX_TOKEN_LENGTH = 8192


@dataclass(frozen=True, slots=True)
class Identity:
    """A person in an organization; ``credential`` names the session or token they came with.

    ``session_key`` is the session itself, where there is one: a socket lives no longer than it.
    """

    user_id: UUID
    organization_id: UUID
    credential: str = ""
    session_key: str = field(default="", repr=False)


TokenAuthenticator = Callable[[str, str | None], Identity | Awaitable[Identity | None] | None]
OrganizationResolver = Callable[[UUID, str | None], UUID | None]

_token_authenticators: list[TokenAuthenticator] = []
_organization_resolvers: list[OrganizationResolver] = []


def register_token_authenticator(authenticator: TokenAuthenticator) -> TokenAuthenticator:
    """Ask ``authenticator(token, organization_hint)`` for the identity behind a token; None when it has none.

    A coroutine function runs in the event loop, a plain function in a thread with a database connection.
    """
    if authenticator not in _token_authenticators:
        _token_authenticators.append(authenticator)
    return authenticator


def register_organization_resolver(resolver: OrganizationResolver) -> OrganizationResolver:
    """Ask ``resolver(user_id, hint)`` where an active person belongs; hint is an id, a slug or None.

    A synchronous database function; None means that the person may not come in. Also asked again while a
    socket is open. There is one resolver; a second one raises ValueError.
    """
    if _organization_resolvers and _organization_resolvers[0] is not resolver:
        raise ValueError("an organization resolver is registered already")
    _organization_resolvers[:] = [resolver]
    return resolver


def resolve_organization(user_id: UUID, hint: str | None) -> UUID | None:
    """The organization in which the person may act now, or None. Runs database queries."""
    return _organization_resolvers[0](user_id, hint) if _organization_resolvers else None


def may_stay(identity: Identity) -> bool:
    """Whether the session still holds and the person is still an active member. Runs database queries."""
    if identity.session_key:
        user = _user_of_session(identity.session_key)
        if user is None or user.pk != identity.user_id:
            return False
    if not _organization_resolvers:
        return True
    organization_id = resolve_organization(identity.user_id, str(identity.organization_id))
    return organization_id == identity.organization_id


def session_credential(session_key: str) -> str:
    """The name, for ``sessions.revoke``, of sockets that came with this session; hides the key."""
    return "session:" + hashlib.sha256(session_key.encode()).hexdigest()[:32]


async def identify_token(token: str, hint: str | None) -> Identity | None:
    """The identity behind a bearer token, from the first authenticator that knows it."""
    if not token or len(token) > MAX_TOKEN_LENGTH:
        return None
    for authenticator in _token_authenticators:
        if inspect.iscoroutinefunction(authenticator):
            identity = await authenticator(token, hint)
        else:
            identity = await call_sync(authenticator, token, hint)
        if identity is not None:
            return cast(Identity, identity)
    return None


def identify_session(session_key: str, hint: str | None) -> Identity | None:
    """The identity behind a session cookie. Runs database queries."""
    user = _user_of_session(session_key)
    if user is None:
        return None
    organization_id = resolve_organization(user.pk, hint)
    if organization_id is None:
        return None
    return Identity(user.pk, organization_id, session_credential(session_key), session_key)


def _user_of_session(session_key: str) -> AbstractBaseUser | None:
    """The active person who is signed in with this session; None when it ended or the password changed.

    Like ``django.contrib.auth.get_user``, but never renews the session: a new key could not be sent back.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    session: SessionBase = store(session_key)
    user_key, backend_path = session.get(SESSION_KEY), session.get(BACKEND_SESSION_KEY)
    if user_key is None or backend_path is None or backend_path not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = load_backend(backend_path).get_user(get_user_model()._meta.pk.to_python(user_key))
    if user is None or not user.is_active:
        return None
    if not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    return user
