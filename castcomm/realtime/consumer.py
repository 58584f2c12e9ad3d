"""The ASGI application behind ``/ws/`` and ``/ws/notifications``.

Not a Channels consumer: Channels' dispatch costs more per frame than everything that happens here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http import parse_cookie

from castcomm.common.errors import CastCommError, InvalidInput, NotAuthenticated, RateLimited

from . import close_codes
from .auth import Identity, identify_session, identify_token, may_stay
from .calls import call_sync
from .conf import AUTH_TIMEOUT, MAX_FRAME_BYTES, MAX_PROTOCOL_ERRORS, QUEUE_FRAMES, limits
from .connection import Connection
from .hub import running_hub
from .origin import header, origin_allowed
from .protocol import (
    Answer,
    ClientFrame,
    InternalError,
    MalformedFrame,
    ack_frame,
    error_frame,
    find_handler,
    parse,
)
from .sessions import greet
from .stats import counters
from .tickets import redeem_ticket
from .writer import AsgiSend

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_PATHS = {"/ws": False, "/ws/notifications": True}
_MAX_REFUSALS = 200


async def realtime(scope: Scope, receive: Receive, send: AsgiSend) -> None:
    """Hold one socket from its handshake to its end."""
    await receive()
    inbox = _PATHS.get(scope["path"].rstrip("/"))
    hub = running_hub()
    if inbox is None:
        return await _refuse(scope, send, 404)
    if not origin_allowed(scope["headers"]):
        return await _refuse(scope, send, 403)
    if hub.draining or len(hub.connections) >= limits().max_connections:
        return await _refuse(scope, send, 503)
    await send({"type": "websocket.accept"})
    counters.accepted += 1
    connection = Connection(hub, send, inbox=inbox)
    hub.enter(connection)
    try:
        if await _sign_in(connection, scope, receive):
            await _converse(connection, receive)
    except asyncio.CancelledError:
        if not connection.closing:
            raise
    finally:
        connection.leave()


async def _refuse(scope: Scope, send: AsgiSend, status: int) -> None:
    """Answer the handshake with an HTTP status; a server without that extension says 403."""
    counters.refused += 1
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"text/plain"), (b"retry-after", b"5")] if status == 503 else []
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


async def _sign_in(connection: Connection, scope: Scope, receive: Receive) -> bool:
    """Find out who it is and greet them; False when the socket is closed instead."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    hint = query.get("organization", [None])[0]
    frame_id: str | None = None
    try:
        async with asyncio.timeout(AUTH_TIMEOUT):
            ticket = query.get("ticket", [None])[0]
            if ticket is not None:
                identity = await call_sync(_redeem, ticket)
            else:
                identity = await _from_cookie(scope, hint)
                if identity is None:
                    frame_id, identity = await _from_first_frame(receive, hint)
    except TimeoutError:
        await connection.close(close_codes.NOT_AUTHENTICATED, "no auth frame")
        return False
    except CastCommError as error:
        connection.writer.push(error_frame(error, getattr(error, "frame_id", None)))
        code = (
            close_codes.PROTOCOL_ERROR if isinstance(error, InvalidInput) else close_codes.NOT_AUTHENTICATED
        )
        await connection.close(code, error.code)
        return False
    except ConnectionResetError:
        return False
    except Exception:
        logger.exception("A socket could not be signed in")
        connection.writer.push(error_frame(InternalError("Something went wrong on our side."), frame_id))
        await connection.close(close_codes.INTERNAL_ERROR, "internal error")
        return False
    if identity is None:
        refusal = NotAuthenticated("The token or ticket is not valid.", code="invalid_credential")
        connection.writer.push(error_frame(refusal, frame_id))
        await connection.close(close_codes.NOT_AUTHENTICATED, "not authenticated")
        return False
    try:
        await _greet(connection, identity, frame_id)
    except Exception:
        logger.exception("A socket could not be greeted")
        await connection.close(close_codes.INTERNAL_ERROR, "internal error")
        return False
    return True


def _redeem(ticket: str) -> Identity | None:
    """Whose ticket it is, unless they signed out or were put out since it was issued."""
    identity = redeem_ticket(ticket)
    return identity if identity is not None and may_stay(identity) else None


async def _from_cookie(scope: Scope, hint: str | None) -> Identity | None:
    session_key = parse_cookie(header(scope["headers"], b"cookie") or "").get(settings.SESSION_COOKIE_NAME)
    if not session_key:
        return None
    return await call_sync(identify_session, session_key, hint)


async def _from_first_frame(receive: Receive, hint: str | None) -> tuple[str | None, Identity | None]:
    message = await receive()
    if message["type"] != "websocket.receive":
        raise ConnectionResetError("the peer left")
    frame = _read(message)
    if frame.event != "auth":
        raise NotAuthenticated("The first frame must be auth.")
    token, ticket = frame.data.get("token"), frame.data.get("ticket")
    asked = frame.data.get("organization")
    if isinstance(ticket, str):
        return frame.id, await call_sync(_redeem, ticket)
    if isinstance(token, str):
        return frame.id, await identify_token(token, asked if isinstance(asked, str) else hint)
    raise MalformedFrame("auth needs a token or a ticket.", code="required", attr="token", frame_id=frame.id)


async def _greet(connection: Connection, identity: Identity, frame_id: str | None) -> None:
    hold = await connection.sign_in(identity)
    user = {"id": identity.user_id, "organization": identity.organization_id}
    tuning = limits()
    data: dict[str, Any] = {
        "user": user,
        "heartbeat_ms": tuning.heartbeat_ms,
        "limits": {
            "frame_bytes": MAX_FRAME_BYTES,
            "events_per_minute": tuning.rate_per_minute,
            "queue_frames": QUEUE_FRAMES,
        },
    }
    facts = await call_sync(greet, identity.user_id, identity.organization_id)
    connection.heads = facts
    data.update({name: value for name, value in facts.items() if name != "user"})
    user.update(facts.get("user", {}))
    connection.writer.push(ack_frame(frame_id, "auth:success", data))
    hold.release(connection.own_topic, connection.deliver, 0)


async def _converse(connection: Connection, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        counters.received += 1
        connection.last_heard = connection.hub.loop.time()
        if connection.closing:
            continue
        connection.busy = True
        try:
            await _answer(connection, message)
        finally:
            connection.busy = False


async def _answer(connection: Connection, message: dict[str, Any]) -> None:
    frame_id: str | None = None
    try:
        wait = connection.rate.wait()
        frame = _read(message)
        frame_id = frame.id
        if wait:
            raise RateLimited("Too many events.", retry_after=wait)
        handler = find_handler(frame.event, inbox=connection.inbox)
        if handler is None:
            raise InvalidInput(f"There is no event {frame.event!r} here.", attr="event", code="unknown_event")
        result = await handler(connection, frame.data)
        _acknowledge(connection, frame, result)
    except CastCommError as error:
        await _complain(connection, error, frame_id)
    except Exception:
        logger.exception("A realtime event failed")
        connection.writer.push(error_frame(InternalError("Something went wrong on our side."), frame_id))
    else:
        connection.refusals = 0


def _acknowledge(connection: Connection, frame: ClientFrame, result: dict[str, Any] | Answer | None) -> None:
    if isinstance(result, Answer):
        if frame.id is not None or result.always:
            connection.writer.push(ack_frame(frame.id, result.event or frame.event, result.data))
        if result.then is not None:
            result.then()
    elif frame.id is not None:
        connection.writer.push(ack_frame(frame.id, frame.event, result or {}))


def _read(message: dict[str, Any]) -> ClientFrame:
    text = message.get("text")
    if text is None:
        raise MalformedFrame("Frames are JSON text, not binary.", code="binary_frame")
    # A character has up to four bytes; only text near the limit is worth measuring.
    if len(text) > MAX_FRAME_BYTES // 4 and len(text.encode()) > MAX_FRAME_BYTES:
        raise MalformedFrame(f"A frame may have {MAX_FRAME_BYTES} bytes.", code="frame_too_large")
    return parse(text)


async def _complain(connection: Connection, error: CastCommError, frame_id: str | None) -> None:
    connection.writer.push(error_frame(error, frame_id or getattr(error, "frame_id", None)))
    if isinstance(error, RateLimited):
        connection.refusals += 1
        if connection.refusals >= _MAX_REFUSALS:
            counters.closed_rate += 1
            await connection.close(close_codes.RATE_LIMITED, "rate limited")
    elif isinstance(error, MalformedFrame):
        connection.protocol_errors += 1
        if error.code == "frame_too_large":
            await connection.close(close_codes.TOO_BIG, "frame too large")
        elif connection.protocol_errors >= MAX_PROTOCOL_ERRORS:
            await connection.close(close_codes.PROTOCOL_ERROR, "too many malformed frames")
