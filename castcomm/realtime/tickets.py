"""One-use tickets: a page that is signed in over HTTP gets one and opens its socket with it.

A token must not stand in a URL, where it lands in logs. A ticket may: it is spent by the first use and
worthless after 30 seconds. Redis keeps only its hash, and what it stands for encrypted with the ticket itself:
whoever reads Redis learns neither tickets nor sessions.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from functools import cache
from uuid import UUID

import orjson
import redis
from cryptography.fernet import Fernet
from django.conf import settings

from castcomm.common.errors import TemporarilyUnavailable

from .auth import Identity

TICKET_SECONDS = 30
MAX_TICKET_LENGTH = 100


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_SOCKET_TIMEOUT,
        socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT,
    )


def _key(ticket: str) -> str:
    return f"{settings.REDIS_PREFIX}:ws-ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"


def _cipher(ticket: str) -> Fernet:
    digest = hashlib.sha256(f"castcomm ws-ticket content {ticket}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def issue_ticket(
    user_id: UUID | str, organization_id: UUID | str, *, credential: str = "", session_key: str = ""
) -> str:
    """A ticket for one socket of this person, valid for TICKET_SECONDS.

    ``session_key`` is the session it was made with, ``credential`` the name of that session
    (``auth.session_credential``): the socket ends with it.
    Raises TemporarilyUnavailable when Redis is away.
    """
    ticket = secrets.token_urlsafe(32)
    plain = orjson.dumps([str(user_id), str(organization_id), credential, session_key])
    content = _cipher(ticket).encrypt(plain)
    try:
        _client().set(_key(ticket), content, ex=TICKET_SECONDS)
    except redis.RedisError as error:
        raise TemporarilyUnavailable("Tickets cannot be issued right now.") from error
    return ticket


def redeem_ticket(ticket: str) -> Identity | None:
    """Whose ticket this is, once; None when it is unknown, spent or expired.

    Raises TemporarilyUnavailable when Redis is away.
    """
    if not ticket or len(ticket) > MAX_TICKET_LENGTH:
        return None
    try:
        content = _client().getdel(_key(ticket))
    except redis.RedisError as error:
        raise TemporarilyUnavailable("Tickets cannot be checked right now.") from error
    if not isinstance(content, bytes):
        return None
    plain = _cipher(ticket).decrypt(content)
    user_id, organization_id, credential, session_key = orjson.loads(plain)
    return Identity(UUID(user_id), UUID(organization_id), credential, session_key)
