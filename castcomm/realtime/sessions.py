"""What a person is told on arrival and with each heartbeat, and how their sockets are ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from castcomm.common.registry import Registry

from . import hub
from .topics import REVOKE_EVENT, UNSUBSCRIBE_EVENT, control_topic

PersonalFacts = Callable[[UUID, UUID], dict[str, Any]]

_greetings: Registry[PersonalFacts] = Registry("greeting")
_heads: dict[str, PersonalFacts] = {}


def register_greeting(name: str, greeting: PersonalFacts) -> None:
    """Merge what ``greeting(user_id, organization_id)`` returns into the data of ``auth:success``.

    A synchronous database function. A value that is a dict is merged into the one that is there.
    """
    _greetings.register(name, greeting)


def register_heads(heads: PersonalFacts) -> PersonalFacts:
    """Let ``pong`` carry what ``heads(user_id, organization_id)`` returns, as far as it changed.

    A synchronous database function that returns for instance ``{"inbox_seq": 7, "thread_heads": {id: seq}}``.
    """
    _heads[f"{heads.__module__}.{heads.__qualname__}"] = heads
    return heads


def greet(user_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """All greetings, merged. Runs database queries."""
    return _merged([greeting for _, greeting in _greetings.items()], user_id, organization_id)


def current_heads(user_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """All heads, merged. Runs database queries."""
    return _merged(list(_heads.values()), user_id, organization_id)


def has_heads() -> bool:
    """Whether a heartbeat has anything to look up."""
    return bool(_heads)


def changed_heads(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The entries of ``now`` that differ from ``before``; inside dicts only the entries that differ."""
    changed: dict[str, Any] = {}
    for name, value in now.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            entries = {key: item for key, item in value.items() if old.get(key) != item}
            if entries:
                changed[name] = entries
        elif value != old:
            changed[name] = value
    return changed


def revoke(user_id: UUID | str, *, credential: str | None = None) -> None:
    """Close the person's sockets in every process with 4403, or only those that came with ``credential``.

    Best effort through Redis; a socket that is missed is closed within WS_RECHECK_SECONDS or little more, when its
    session or membership is looked at again.
    """
    hub.publish(control_topic(user_id), {"event": REVOKE_EVENT, "credential": credential})


def end_subscription(user_id: UUID | str, topic: str) -> None:
    """Take a topic away from the person's sockets in every process, for instance when they leave a thread."""
    hub.publish(control_topic(user_id), {"event": UNSUBSCRIBE_EVENT, "topic": topic})


def _merged(sources: list[PersonalFacts], user_id: UUID, organization_id: UUID) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for source in sources:
        for name, value in source(user_id, organization_id).items():
            if isinstance(value, dict) and isinstance(merged.get(name), dict):
                merged[name] = {**merged[name], **value}
            else:
                merged[name] = value
    return merged
