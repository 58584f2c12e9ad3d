"""SMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifications.channels.base import Addressed, Channel
from notifications.providers.base import SmsMessage
from notifications.rendering.content import ContentFacts, render_sms


class SmsChannel(Channel):
    key = "sms"

    def compose(self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]) -> SmsMessage:
        return SmsMessage(
            delivery_id=str(target.delivery_id), to=target.phone, text=render_sms(content, context)
        )
