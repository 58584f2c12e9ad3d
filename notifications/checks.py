"""Checks of this app's configuration, for ``manage.py check --deploy``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, register
from phonenumbers import SUPPORTED_REGIONS

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


@register(Tags.compatibility)
def check_sms_regions(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """Codes that no country has: they would keep everything from being sent, or nothing."""
    unknown = [code for code in settings.SMS_ALLOWED_REGIONS if code not in SUPPORTED_REGIONS]
    if not unknown:
        return []
    return [
        Error(
            f"SMS_ALLOWED_REGIONS names {', '.join(unknown)}, which is no country.",
            hint="Write two letters of ISO 3166-1 for each, separated by commas: DE,AT,GB.",
            id="castcomm.E025",
        )
    ]
