"""Send a push."""

from __future__ import annotations

from workflows.steps.base import register
from workflows.steps.sends import ChannelStep


@register
class PushStep(ChannelStep, fields=("title", "body", "action_url")):
    """To the devices that the person has allowed to be told."""

    type = "push"
    label = "Push"
    channel = "push"
