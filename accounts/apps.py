"""The Django application of people, organizations and keys."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        # These register themselves: with the WebSocket, with allauth's signals, and with the API's schema.
        import_module("accounts.realtime")
        import_module("accounts.allauth_adapters")
        import_module("accounts.api.schema")
