"""The push accounts of an organization as one: devices of different kinds are no alternatives to each other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings

from notifications.providers.base import Account

KINDS = ("webpush", "fcm")  # the providers that reach devices, each those of its kind
TOGETHER = "devices"


def as_one(accounts: Sequence[Account]) -> list[Account]:
    """The one account that reaches all devices, of those that an organization may use, in their order.

    There is no going from one kind to the other; and a browser's subscription is bound to the key it was made with, so
    that a second account of a kind could not help out either. The first of each kind counts. The log is
    used where ``PUSH_PROVIDER`` says so, or where there is nothing else.
    """
    chosen = [one for kind in KINDS if (one := next((a for a in accounts if a.provider == kind), None))]
    if not chosen or (settings.PUSH_PROVIDER and settings.PUSH_PROVIDER not in KINDS):
        return [one for one in accounts if one.provider not in KINDS][:1]
    if len(chosen) == 1:
        return chosen
    credentials: dict[str, str] = {}
    for one in chosen:
        credentials |= {**one.credentials, _member(one.provider): one.key}
    digest = hashlib.sha256("+".join(one.key for one in chosen).encode()).hexdigest()[:16]
    return [
        replace(
            chosen[0],
            key=f"{TOGETHER}:{digest}",
            provider=TOGETHER,
            name=" and ".join(one.name for one in chosen),
            credentials=credentials,
        )
    ]


def member_key(account: Account, provider: str) -> str:
    """The key of the account of ``provider`` that was joined into ``account``, or ""."""
    return account.credentials.get(_member(provider), "")


def _member(provider: str) -> str:
    return f"{provider}.account"
