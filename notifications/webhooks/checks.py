"""A provider that reports nothing that can be believed: its account lacks what verifies its webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from notifications.providers.base import providers_of
from notifications.services.provider_accounts import environment_accounts, primary_provider
from notifications.vocabulary import Channel
from notifications.webhooks.base import parser_for


@register(Tags.security)
def check_webhook_secrets(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """The environment's accounts: without the secret every report is refused, and bounces are not heard of."""
    found: list[CheckMessage] = []
    kind = Warning if settings.DEBUG else Error
    for channel in (Channel.EMAIL, Channel.SMS):
        if primary_provider(channel) not in ("", *providers_of(channel).keys()):
            continue  # told by the check of choices
        for account in environment_accounts(channel):
            parser = parser_for(channel, account.provider)
            if parser is None or parser.is_configured(account):
                continue
            names = _variables(channel, account.provider, parser.needs)
            found.append(
                kind(
                    f"{account.provider} is configured without what verifies its webhooks.",
                    hint=f"Set {' and '.join(names)}, and give {account.provider} the address "
                    f"{settings.PUBLIC_URL}/webhooks/{channel}/{account.provider} (docs/receipts.md).",
                    id="castcomm.W025" if settings.DEBUG else "castcomm.E025",
                )
            )
    return found


def _variables(channel: str, provider: str, needs: Sequence[str]) -> list[str]:
    declared = {one.name: one.env for one in providers_of(channel).get(provider).credentials}
    return [next(iter(declared.get(name, ())), name) for name in needs]
