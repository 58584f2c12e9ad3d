"""The contract of a channel that sends through a provider."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from castcomm.common.registry import Registry
from notifications.providers.base import EmailMessage, PushMessage, SmsMessage
from notifications.rendering.content import ContentFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """What a channel knows of one delivery when it makes the message."""

    delivery_id: str
    user_id: str
    email: str
    phone: str


class Channel(abc.ABC):
    """Makes a provider's message from a content."""

    key: str

    @abc.abstractmethod
    def compose(
        self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]
    ) -> EmailMessage | SmsMessage | PushMessage:
        """The message to send; raises RenderingError."""


channels: Registry[Channel] = Registry("channel")
