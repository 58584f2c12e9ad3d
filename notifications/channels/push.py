"""Push."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifications.channels.base import Addressed, Channel
from notifications.providers.base import PushMessage
from notifications.rendering.content import ContentFacts, render_push


class PushChannel(Channel):
    key = "push"

    def compose(self, target: Addressed, content: ContentFacts, context: Mapping[str, Any]) -> PushMessage:
        rendered = render_push(content, context)
        return PushMessage(
            delivery_id=target.delivery_id,
            user_id=target.user_id,
            title=rendered.title,
            body=rendered.body,
            action_url=rendered.action_url,
        )
