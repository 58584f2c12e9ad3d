"""Which accounts carry a channel for an organization, in the order in which they are tried.

Accounts come from the environment (each provider's class names its variables) and from rows that staff edit. An
organization with rows of its own for a channel uses those alone: nothing of it leaves under another's name. All others
share the environment's accounts and the rows without an organization.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from notifications.models import ProviderAccount
from notifications.providers.base import Account, Provider, providers_of
from notifications.providers.far_sides import FAR_SIDE, stand_ins_are_allowed
from notifications.services.push_accounts import as_one
from notifications.vocabulary import Channel

TRUST = 2.0  # seconds for which a process trusts the rows it has read
ENVIRONMENT = "env:"
FALLBACK = {Channel.EMAIL.value: "smtp", Channel.SMS.value: "console", Channel.PUSH.value: "console"}
PRIMARY_SETTINGS = {
    Channel.EMAIL.value: ("EMAIL_PRIMARY_PROVIDER", "EMAIL_PROVIDER"),
    Channel.SMS.value: ("SMS_PROVIDER",),
    Channel.PUSH.value: ("PUSH_PROVIDER",),
}
_LIMITS = {Channel.EMAIL.value: ("EMAIL_RATE_LIMIT_MINUTE", "EMAIL_RATE_LIMIT_HOUR", "EMAIL_RATE_LIMIT_DAY")}

_lock = threading.Lock()
_rows_lock = threading.Lock()
_rows: list[Account] = []
_read_at = -TRUST
_changes = 0  # how often rows were forgotten
_providers: dict[str, tuple[Account, Provider[Any]]] = {}


def accounts_for(channel: str, organization_id: uuid.UUID) -> list[Account]:
    """The accounts that carry ``channel`` for an organization, by position; never empty but for a wrong setting."""
    rows = [one for one in _account_rows() if one.channel == channel]
    own = [one for one in rows if one.organization_id == organization_id]
    if own and channel != Channel.PUSH:
        return own
    shared = [one for one in rows if one.organization_id is None]
    found = [*shared, *environment_accounts(channel, or_default=not shared)]
    found.sort(key=lambda one: one.position)
    return as_one([*own, *found]) if channel == Channel.PUSH else found


def all_accounts() -> list[Account]:
    """Every active account of the deployment: rows and the environment's."""
    return [*_account_rows(), *(one for channel in PRIMARY_SETTINGS for one in environment_accounts(channel))]


def account_by_key(key: str) -> Account | None:
    """The active account with this key."""
    return next((one for one in all_accounts() if one.key == key), None)


def environment_accounts(channel: str, *, or_default: bool = True) -> list[Account]:
    """What the environment configures for ``channel``: the primary provider first, at positions from 10 up.

    Where nothing is configured it is, with ``or_default``, SMTP for mail and the log (in development) for the rest.
    """
    registry = providers_of(channel)
    primary = primary_provider(channel)
    if primary not in registry:
        primary = ""  # checks say so
    configured = [key for key, provider in registry.items() if provider.is_configured(_values(provider))]
    if primary:
        configured = [primary, *(key for key in configured if key != primary)]
    elif not configured and or_default:
        configured = [FALLBACK[channel]]
    minute, hour, day = (_limit(name) for name in _LIMITS.get(channel, ("", "", "")))
    return [
        Account(
            key=f"{ENVIRONMENT}{key}",
            provider=key,
            channel=channel,
            name=f"{registry.get(key).label or key} (environment)",
            credentials=_values(registry.get(key)),
            position=10 * number,
            per_minute=minute,
            per_hour=hour,
            per_day=day,
        )
        for number, key in enumerate(configured, start=1)
    ]


def primary_provider(channel: str) -> str:
    """The provider that the settings put first for a channel, or ""."""
    return next((value for name in PRIMARY_SETTINGS[channel] if (value := getattr(settings, name))), "")


def provider_of(account: Account) -> Provider[Any]:
    """The process's one instance for an account; a changed account gets a new one."""
    known = _providers.get(account.key)
    if known is not None and known[0] == account:
        return known[1]
    with _lock:
        known = _providers.get(account.key)
        if known is not None and known[0] == account:
            return known[1]
        made = providers_of(account.channel).get(account.provider)(account)
        _providers[account.key] = (account, made)
    if known is not None:
        known[1].close()
    return made


def environment_value(name: str) -> str:
    """A variable of the environment as the settings know it, or as it is; "" when it is not set."""
    value = getattr(settings, name, None)
    if value is None:
        return str(settings.PROVIDER_ENVIRONMENT.get(name, ""))
    return str(value).lower() if isinstance(value, bool) else str(value)


def forget_rows(**_signal: Any) -> None:
    """Read the rows anew at the next look."""
    global _read_at, _changes  # noqa: PLW0603
    with _rows_lock:
        _read_at = -TRUST
        _changes += 1


def watch_rows() -> None:
    """Let a change made in this process be seen at once (in others after ``TRUST``)."""
    for signal in (post_save, post_delete):
        signal.connect(_forget_changed, sender=ProviderAccount, dispatch_uid="provider-accounts")


def _forget_changed(**_signal: Any) -> None:
    """Now for who changed them, and again once others can see it: one of them may look in between."""
    forget_rows()
    transaction.on_commit(forget_rows)


def _values(provider: type[Provider[Any]]) -> dict[str, str]:
    found = {}
    for field in provider.credentials:
        found[field.name] = next((value for name in field.env if (value := environment_value(name))), "")
    return found


def _limit(name: str) -> int | None:
    return (getattr(settings, name) or None) if name else None


def _account_rows() -> list[Account]:
    global _rows, _read_at
    with _rows_lock:
        if time.monotonic() - _read_at <= TRUST:
            return _rows
        changes = _changes
    found = ProviderAccount.objects.filter(is_active=True).order_by("position", "created_at")
    rows = [account_of(row) for row in found if row.provider in providers_of(row.channel)]
    with _rows_lock:
        # Rows that changed while they were read are not kept: another thread counts on having them forgotten.
        if changes == _changes:
            _rows, _read_at = rows, time.monotonic()
    return rows


def account_of(row: ProviderAccount) -> Account:
    """A row as the providers see it: without the address of a stand-in where none has a place."""
    credentials: dict[str, str] = orjson.loads(row.credentials or "{}")
    if not stand_ins_are_allowed():
        credentials.pop(FAR_SIDE, None)
    return Account(
        key=str(row.id),
        provider=row.provider,
        channel=row.channel,
        name=row.name,
        organization_id=row.organization_id,
        credentials=credentials,
        position=row.position,
        weight=row.weight,
        per_minute=row.per_minute,
        per_hour=row.per_hour,
        per_day=row.per_day,
    )
