"""Browsers and apps of one person, each through the provider of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from notifications.providers.base import Account, push_providers
from notifications.providers.push.base import PushCarrier, PushProvider
from notifications.providers.push.fcm import Fcm
from notifications.providers.push.webpush import WebPush
from notifications.services.push_accounts import TOGETHER, member_key

KINDS: tuple[type[PushCarrier], ...] = (WebPush, Fcm)


@push_providers.add("devices")
class Devices(PushProvider):
    """Carries what ``push_accounts.as_one`` joined; nobody configures it."""

    key = TOGETHER
    label = "Browsers and apps"

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._carriers: dict[str, PushCarrier] = {}
        for kind in KINDS:
            name = member_key(account, kind.key)
            if name:
                self._carriers[kind.kind] = kind(replace(account, key=name, provider=kind.key))

    def carriers(self) -> Mapping[str, PushCarrier]:
        return self._carriers

    def close(self) -> None:
        for carrier in self._carriers.values():
            carrier.close()
