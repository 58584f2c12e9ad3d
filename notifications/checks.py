"""Checks of this app's configuration, for ``manage.py check --deploy``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, register


@register(Tags.compatibility, deploy=True)
def check_carriers(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """SMS and push that nobody carries. A note and no warning: whoever sends mail only has nothing to set right."""
    found: list[CheckMessage] = []
    for number, name, channel in (("I023", "SMS_PROVIDER", "SMS"), ("I024", "PUSH_PROVIDER", "push")):
        if getattr(settings, name) == "console" and not settings.DEBUG:
            found.append(
                Info(
                    f"No {channel} provider is configured: each {channel} delivery will fail.",
                    hint=f"Set {name} to a provider, or leave {channel} out of the event types' channels.",
                    id=f"castcomm.{number}",
                )
            )
    return found
