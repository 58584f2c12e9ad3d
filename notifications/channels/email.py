"""E-mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from notifications.channels.base import Addressed, Channel
from notifications.providers.base import EmailMessage
from notifications.rendering.content import ContentFacts, render_email
from notifications.services.tracking import add_tracking


class EmailChannel(Channel):
    """The Message-ID is ours and follows from the delivery: a mail sent twice can be told as one."""

    key = "email"

    def compose(self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]) -> EmailMessage:
        rendered = render_email(content, context)
        sender = settings.EMAIL_FROM
        return EmailMessage(
            delivery_id=str(target.delivery_id),
            sender=sender,
            sender_name=settings.EMAIL_FROM_NAME,
            to=target.email,
            subject=rendered.subject,
            text=rendered.text,
            html=add_tracking(
                rendered.html,
                organization_id=target.organization_id,
                delivery_id=target.delivery_id,
                opens=target.track_opens,
                clicks=target.track_clicks,
            ),
            message_id=f"{target.delivery_id}@{sender.rsplit('@', 1)[-1]}",
            reply_to=target.reply_to,
            headers=tuple(target.links.headers.items()) if target.links else (),
            attachments=target.files,
        )
