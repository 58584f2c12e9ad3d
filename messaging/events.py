"""What other apps may hear about conversations. Published in the transaction that made it true."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from castcomm.common.events import DomainEvent


@dataclass(frozen=True, kw_only=True)
class ThreadCreated(DomainEvent):
    """A thread was opened."""

    organization_id: uuid.UUID
    thread_id: uuid.UUID
    user_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class MessageSent(DomainEvent):
    """A message was written; ``seq`` is its number in the thread."""

    organization_id: uuid.UUID
    thread_id: uuid.UUID
    message_id: uuid.UUID
    sender_id: uuid.UUID
    seq: int
