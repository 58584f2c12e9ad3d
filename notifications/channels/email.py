"""E-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from notifications.channels.base import Addressed, Channel
from notifications.providers.base import EmailMessage
from notifications.rendering.content import ContentFacts, render_email


class EmailChannel(Channel):
    """The Message-ID is ours and follows from the delivery: a mail sent twice can be told as one."""

    key = "email"

    def compose(self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]) -> EmailMessage:
        rendered = render_email(content, context)
        sender = settings.EMAIL_FROM
        return EmailMessage(
            delivery_id=target.delivery_id,
            sender=sender,
            sender_name=settings.EMAIL_FROM_NAME,
            to=target.email,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            message_id=f"{target.delivery_id}@{sender.rsplit('@', 1)[-1]}",
        )
