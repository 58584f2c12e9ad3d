"""Put something into the inbox."""

from __future__ import annotations

from workflows.steps.base import register
from workflows.steps.sends import ChannelStep


@register
class InAppStep(ChannelStep, fields=("subject", "title", "body", "action_url")):
    """Where the person reads on our pages."""

    type = "in_app"
    label = "Inbox"
    channel = "in_app"
