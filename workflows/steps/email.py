"""Send an e-mail."""

from __future__ import annotations

from workflows.steps.base import register
from workflows.steps.sends import ChannelStep


@register
class EmailStep(ChannelStep, fields=("subject", "title", "body", "html", "text", "action_url")):
    """To the person's address."""

    type = "email"
    label = "E-mail"
    channel = "email"
