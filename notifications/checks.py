"""Checks of this app's configuration: what cannot work, and for ``check --deploy`` what should not stay so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from phonenumbers import SUPPORTED_REGIONS

from castcomm.common.errors import InvalidInput
from notifications.providers.base import Credential, providers_of
from notifications.services.provider_accounts import (
    PRIMARY_SETTINGS,
    environment_accounts,
    environment_value,
    primary_provider,
)
from notifications.vocabulary import Channel

_LIMITS = (
    "EMAIL_RATE_LIMIT_MINUTE",
    "EMAIL_RATE_LIMIT_HOUR",
    "EMAIL_RATE_LIMIT_DAY",
    "USER_RATE_LIMIT_MINUTE",
    "USER_RATE_LIMIT_HOUR",
)


@register()
def check_providers(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """Providers that are named and cannot sign in, values that do not go together, and limits below nothing."""
    return [*_named_providers(), *_values_together(), *_limits(), *_stand_ins()]


def _named_providers() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for channel, names in PRIMARY_SETTINGS.items():
        registry = providers_of(channel)
        for name in names:
            value = getattr(settings, name)
            if value not in registry:
                continue  # empty, or told by the check of choices
            missing = [one for one in registry.get(value).credentials if _is_missing(one)]
            if missing:
                found.append(
                    Error(
                        f"{name} is {value!r}, and {_variables(missing)} {'is' if len(missing) == 1 else 'are'} "
                        "not set: nothing can be sent through it.",
                        hint=f"Set {_variables(missing)}, or leave {name} out.",
                        id="castcomm.E053",
                    )
                )
    return found


def _values_together() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for channel in (Channel.EMAIL, Channel.SMS):  # notifications.push_checks looks at push
        registry = providers_of(channel)
        if primary_provider(channel) not in ("", *registry.keys()):
            continue  # told by the check of choices
        for account in environment_accounts(channel):
            kind = registry.get(account.provider)
            try:
                kind.check_credentials(account.credentials)
            except InvalidInput as error:
                field = next(one for one in kind.credentials if one.name == error.attr)
                found.append(
                    Error(
                        f"{account.provider} cannot work with the value of {' or '.join(field.env)}.",
                        hint=f"{error.message}",
                        id="castcomm.E054",
                    )
                )
    return found


def _stand_ins() -> list[CheckMessage]:
    if settings.DEBUG or not settings.PROVIDER_STAND_INS:
        return []
    return [
        Warning(
            "PROVIDER_STAND_INS is on: accounts may lead to stand-ins, and what these take reaches nobody.",
            hint="Leave PROVIDER_STAND_INS out.",
            id="castcomm.W056",
        )
    ]


def _is_missing(field: Credential) -> bool:
    return (
        field.required
        and not field.default
        and bool(field.env)
        and not any(environment_value(name) for name in field.env)
    )


def _variables(fields: Sequence[Credential]) -> str:
    return ", ".join(field.env[0] for field in fields)


def _limits() -> list[CheckMessage]:
    return [
        Error(
            f"{name} is {getattr(settings, name)}; a limit is a number of messages.",
            hint=f"Set {name} to 0 for no limit, or to a number above.",
            id="castcomm.E055",
        )
        for name in _LIMITS
        if getattr(settings, name) < 0
    ]


@register(Tags.compatibility, deploy=True)
def check_carriers(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """SMS that nobody carries. A note and no warning: whoever sends mail only has nothing to set right.

    Web Push needs nothing: its keys are made when the first browser asks for them.
    """
    found: list[CheckMessage] = []
    for number, name, key, channel in (("I023", "SMS_PROVIDER", Channel.SMS, "SMS"),):
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
            id="castcomm.E024",
        )
    ]
