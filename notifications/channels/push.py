"""Push: a title and a body to each of a person's devices, with buttons, and how long and how urgently to try.

The data of a call may say more under ``push`` (docs/push.md): ``ttl`` (seconds), ``urgency``, ``topic``, ``actions``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from castcomm.common.clock import now as current_time
from notifications.channels.base import Addressed, Channel
from notifications.providers.base import PushMessage
from notifications.rendering.content import ContentFacts, render_push
from notifications.rendering.sandbox import RenderingError, safe_url
from notifications.vocabulary import Priority

OPTIONS = "push"
URGENCIES = ("very-low", "low", "normal", "high")  # RFC 8030, 5.3
LONGEST_TTL = 28 * 86_400  # seconds; what push services keep at the most
MAX_TOPIC, MAX_ACTIONS, MAX_TITLE = 100, 3, 60
_ACTION = re.compile(r"[A-Za-z0-9_.-]{1,50}")
_DEFAULTS = {
    Priority.URGENT: (4 * 3600, "high"),
    Priority.HIGH: (86_400, "high"),
    Priority.NORMAL: (86_400, "normal"),
    Priority.LOW: (3 * 86_400, "low"),
}


@dataclass(frozen=True, slots=True)
class _Options:
    ttl: int
    urgency: str
    topic: str = ""
    actions: tuple[Mapping[str, str], ...] = ()


class PushChannel(Channel):
    """What a push service still holds after ``expires_at`` is not delivered any more."""

    key = "push"

    def compose(self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]) -> PushMessage:
        rendered = render_push(content, context)
        options = _options(context.get(OPTIONS), Priority(target.priority))
        return PushMessage(
            delivery_id=str(target.delivery_id),
            user_id=target.user_id,
            title=rendered.title,
            body=rendered.body,
            action_url=rendered.action_url,
            targets=target.devices,
            ttl=min(options.ttl, _left(target.expires_at)),
            urgency=options.urgency,
            topic=options.topic,
            actions=options.actions,
        )


def _left(expires_at: dt.datetime | None) -> int:
    if expires_at is None:
        return LONGEST_TTL
    return max(0, int((expires_at - current_time()).total_seconds()))


def _options(given: Any, priority: Priority) -> _Options:
    """What the data says, and the priority's defaults for the rest; raises RenderingError that names the field."""
    ttl, urgency = _DEFAULTS[priority]
    if not isinstance(given, Mapping):
        return _Options(ttl, urgency)  # data of somebody who has their own "push"
    ttl, urgency = given.get("ttl", ttl), given.get("urgency", urgency)
    topic, actions = given.get("topic", ""), given.get("actions", [])
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl <= LONGEST_TTL:
        raise _wrong("ttl", f"seconds, from 0 to {LONGEST_TTL}")
    if urgency not in URGENCIES:
        raise _wrong("urgency", f"one of {', '.join(URGENCIES)}")
    if not isinstance(topic, str) or len(topic) > MAX_TOPIC:
        raise _wrong("topic", f"at most {MAX_TOPIC} characters")
    if not isinstance(actions, list) or len(actions) > MAX_ACTIONS:
        raise _wrong("actions", f"a list of at most {MAX_ACTIONS}")
    return _Options(ttl, urgency, topic, tuple(_action(at, one) for at, one in enumerate(actions)))


def _action(position: int, given: Any) -> Mapping[str, str]:
    fields = given if isinstance(given, Mapping) else {}
    name, title, url = fields.get("action"), fields.get("title"), fields.get("url", "")
    if not isinstance(name, str) or not _ACTION.fullmatch(name):
        raise _wrong(f"actions.{position}.action", "a name of letters, digits, and . _ -")
    if not isinstance(title, str) or not 0 < len(title) <= MAX_TITLE:
        raise _wrong(f"actions.{position}.title", f"1 to {MAX_TITLE} characters")
    made = {"action": name, "title": title}
    if url:
        made["url"] = safe_url(url)
        if made["url"] == "#":
            raise _wrong(f"actions.{position}.url", "a path, or an http or https address")
    return made


def _wrong(field: str, expected: str) -> RenderingError:
    return RenderingError(f"data.{OPTIONS}.{field}: {expected}.", variable=f"{OPTIONS}.{field}")
