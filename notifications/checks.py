"""Checks of this app's configuration, for ``manage.py check --deploy``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, register

from notifications.services.provider_accounts import environment_accounts
from notifications.vocabulary import Channel


@register(Tags.compatibility, deploy=True)
def check_carriers(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """SMS and push that nobody carries. A note and no warning: whoever sends mail only has nothing to set right."""
    found: list[CheckMessage] = []
    for number, name, key, channel in (
        ("I023", "SMS_PROVIDER", Channel.SMS, "SMS"),
        ("I024", "PUSH_PROVIDER", Channel.PUSH, "push"),
    ):
        accounts = environment_accounts(key)
        if accounts[0].provider == "console" and not settings.DEBUG:
            found.append(
                Info(
                    f"No {channel} provider is configured: each {channel} delivery will fail.",
                    hint=f"Set the variables of a provider ({name} says which is first), or leave {channel} out of "
                    "the event types' channels.",
                    id=f"castcomm.{number}",
                )
            )
    return found
