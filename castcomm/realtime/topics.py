"""Topics that a client may ask for: who may have them, and what was missed.

A topic is ``kind:key``. The app that owns the kind registers it in ``AppConfig.ready``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from castcomm.common.errors import InvalidInput, NotFound
from castcomm.common.registry import Registry

MAX_TOPIC_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Replay:
    """What a subscriber missed.

    ``events`` are whole frames in the order of their seq, ``head`` is the last seq there is, ``recovered`` is
    False when the gap was too big to replay and the client must page over REST.
    """

    events: Sequence[dict[str, Any]] = field(default_factory=list)
    head: int = 0
    recovered: bool = True


Authorize = Callable[[UUID, UUID, str], bool]
ReplayFrom = Callable[[UUID, UUID, str, int | None], Replay]


@dataclass(frozen=True, slots=True)
class TopicKind:
    """Two synchronous database functions over (user_id, organization_id, key).

    ``authorize`` says whether the person may listen. ``replay`` gets since_seq as fourth argument: the last
    seq the client has, or None when it wants no past; then ``events`` is empty and only ``head`` counts.
    """

    authorize: Authorize
    replay: ReplayFrom


_kinds: Registry[TopicKind] = Registry("topic kind")


def register_kind(kind: str, topic_kind: TopicKind) -> None:
    """Let clients subscribe to ``kind:…``; a kind that is taken raises ValueError."""
    _kinds.register(kind, topic_kind)


def find_kind(topic: object) -> tuple[TopicKind, str]:
    """The kind and the key of a topic that a client named; raises InvalidInput or NotFound."""
    if not isinstance(topic, str) or not 0 < len(topic) <= MAX_TOPIC_LENGTH:
        raise InvalidInput("topic must be a string such as thread:<id>.", attr="topic")
    kind, colon, key = topic.partition(":")
    if not colon or not key:
        raise InvalidInput("topic must be a string such as thread:<id>.", attr="topic")
    if kind not in _kinds:
        raise NotFound(f"There is no topic of the kind {kind[:40]!r}.", attr="topic")
    return _kinds.get(kind), key


def user_topic(user_id: UUID | str, organization_id: UUID | str) -> str:
    """The topic of one person in one organization; every socket of theirs listens to it."""
    return f"user:{organization_id}:{user_id}"


def control_topic(user_id: UUID | str) -> str:
    """Orders to the sockets of one person; never passed on to clients."""
    return f"control:user:{user_id}"


CONTROL_ALL = "control:all"
REVOKE_EVENT = "control:revoke"
UNSUBSCRIBE_EVENT = "control:unsubscribe"
RESYNC_EVENT = "control:resync"
