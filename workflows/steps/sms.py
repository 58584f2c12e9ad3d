"""Send a text message."""

from __future__ import annotations

from workflows.steps.base import register
from workflows.steps.sends import ChannelStep


@register
class SmsStep(ChannelStep, fields=("body", "sms")):
    """To the person's number."""

    type = "sms"
    label = "Text message"
    channel = "sms"
