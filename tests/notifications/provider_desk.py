"""Provider accounts for the tests of their admin pages."""

from __future__ import annotations

from typing import Any

import orjson
from django.urls import reverse

from accounts.models import Organization
from notifications.models import ProviderAccount
from notifications.services.provider_accounts_editing import save_provider_account

from .smtp_server import SmtpServer

SECRET = "s3cr3t-t0ken-of-the-account"


def make_account(organization: Organization | None, name: str = "Our Twilio", **more: Any) -> ProviderAccount:
    account = ProviderAccount(organization=organization, channel="sms", provider="twilio", name=name, **more)
    given = {"account_sid": "AC123", "auth_token": SECRET, "from_number": "+12025550123"}
    return save_provider_account(account=account, credentials=given)


def make_smtp(organization: Organization | None, server: SmtpServer) -> ProviderAccount:
    account = ProviderAccount(organization=organization, channel="email", provider="smtp", name="Our mail")
    values = {"host": "127.0.0.1", "port": str(server.port), "timeout": "5"}
    account.credentials = orjson.dumps(values).decode()
    account.save()
    return account


def stored(account: ProviderAccount) -> dict[str, str]:
    account.refresh_from_db()
    return dict(orjson.loads(account.credentials))


def add_page() -> str:
    return reverse("admin:notifications_provideraccount_add")


def key_page(page: str, key: Any) -> str:
    return reverse(f"admin:notifications_provideraccount_{page}", args=[str(key)])
