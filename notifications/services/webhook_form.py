"""What goes over the wire to an endpoint: a signed event (Standard Webhooks 1.0) or a message of Slack.

Slack's form is that of its incoming webhooks: ``text`` for notifications and search, ``blocks`` for the eye. ``&``,
``<`` and ``>`` are escaped as its mrkdwn asks, so that no text can make a link or mention everybody.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32  # the standard asks for 24 to 64
MAX_SLACK_TEXT = 2_900  # characters; a section of Slack holds 3,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message as it is told to one endpoint. ``data`` holds an address only if that endpoint may have it."""

    id: uuid.UUID
    type: str
    occurred_at: dt.datetime
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """The headers and the body of a POST."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def new_secret() -> str:
    """A signing secret in the standard's form."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Whether ``text`` is ``whsec_`` and 24 to 64 bytes in base64."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return text.startswith(PREFIX) and 24 <= len(raw) <= 64


def standard_call(event: Event, *, secrets: Sequence[str], now: dt.datetime) -> Call:
    """The event signed with each secret, the newest first; ``now`` is the moment of this attempt."""
    body = orjson.dumps(
        {"type": event.type, "timestamp": _stamp(event.occurred_at), "data": dict(event.data)}
    ).decode()
    id_ = str(event.id)
    signatures = [Webhook(secret).sign(id_, now.astimezone(dt.UTC), body) for secret in secrets]
    headers = {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    return Call(headers, body.encode())


def slack_call(event: Event) -> Call:
    """The event as a message of Slack."""
    data = event.data
    title = str(data.get("title") or event.type)
    severity = str(data.get("severity") or "")
    heading = f"{severity.capitalize()}: {title}" if severity else title
    facts = {key: value for key, value in data.items() if key not in _SAID and value not in (None, "")}
    lines = [f"*{_escaped(heading)}*"]
    if data.get("detail"):
        lines.append(_escaped(str(data["detail"])))
    lines += [f"{_escaped(key.replace('_', ' '))}: {_escaped(_word(value))}" for key, value in facts.items()]
    footer = f"{event.type} at {event.occurred_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    message = {
        "text": _escaped(heading)[:MAX_SLACK_TEXT],
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut("\n".join(lines))}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(footer)}]},
        ],
    }
    return Call({"Content-Type": "application/json"}, orjson.dumps(message))


_SAID = {"title", "detail", "severity", "kind"}


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SLACK_TEXT else text[:MAX_SLACK_TEXT].rstrip() + "…"
