"""The contract of a channel that sends through a provider."""

from __future__ import annotations

import abc
import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from castcomm.common.registry import Registry
from notifications.providers.base import EmailMessage, File, PushMessage, PushTarget, SmsMessage
from notifications.rendering.content import ContentFacts
from notifications.services.mail_links import MailLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """What a channel knows of one delivery when it makes the message, besides what it says."""

    delivery_id: uuid.UUID
    organization_id: uuid.UUID
    user_id: str
    email: str
    phone: str
    priority: int
    reply_to: str = ""
    files: tuple[File, ...] = ()
    links: MailLinks | None = None
    track_opens: bool = False
    track_clicks: bool = False
    devices: tuple[PushTarget, ...] = ()
    expires_at: dt.datetime | None = None


class Channel(abc.ABC):
    """Makes a provider's message from a content."""

    key: str

    @abc.abstractmethod
    def compose(
        self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]
    ) -> EmailMessage | SmsMessage | PushMessage:
        """The message to send; raises RenderingError."""


channels: Registry[Channel] = Registry("channel")
