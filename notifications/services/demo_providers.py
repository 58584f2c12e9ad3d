"""The demo's provider accounts: SendGrid first, Postmark second, both played by the stand-ins; SMTP stays last."""

from __future__ import annotations

import uuid

from django.conf import settings

from castcomm.common.errors import Conflict
from notifications.models import ProviderAccount
from notifications.services.provider_accounts_editing import delete_provider_account, save_provider_account
from notifications.vocabulary import Channel

_NAMESPACE = uuid.UUID("6b1c8f0e-51b5-5d0c-9c1e-0d9a4b7f6a01")
_KEY = "only-for-the-demo"
DEMO_PROVIDERS = {"sendgrid": "SendGrid (demo)", "postmark": "Postmark (demo)"}


def switch_on_demo_providers(*, stand_ins: str) -> list[ProviderAccount]:
    """Make the accounts, or point existing ones at ``stand_ins`` (a URL without a slash at its end).

    They serve every organization without accounts of its own. Raises Conflict outside development.
    """
    if not settings.DEBUG:
        raise Conflict(
            "Demo accounts would send real messages nowhere: they are for development (DEBUG=1) only."
        )
    return [
        save_provider_account(
            account=_account(provider, name, position),
            credentials={
                "api_key": _KEY,
                "api_url": f"{stand_ins}/{provider}",
                "from_email": f"{provider}@castcomm.example",  # providers refuse localhost
            },
        )
        for position, (provider, name) in enumerate(DEMO_PROVIDERS.items(), start=1)
    ]


def switch_off_demo_providers() -> list[str]:
    """Remove the accounts, in production as well; the names of those that were there."""
    found = list(ProviderAccount.objects.filter(id__in=[demo_account_id(one) for one in DEMO_PROVIDERS]))
    names = [account.name for account in found]
    for account in found:
        delete_provider_account(account=account)
    return names


def demo_account_id(provider: str) -> uuid.UUID:
    """The one id that a provider's demo account has everywhere."""
    return uuid.uuid5(_NAMESPACE, provider)


def _account(provider: str, name: str, position: int) -> ProviderAccount:
    known = ProviderAccount.objects.filter(id=demo_account_id(provider)).first()
    account = known or ProviderAccount(
        id=demo_account_id(provider), channel=Channel.EMAIL, provider=provider, name=name
    )
    account.position, account.is_active = position, True
    return account
