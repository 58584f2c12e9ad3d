"""How staff add, change and remove accounts at providers. Their credentials follow what the provider's class declares.

A secret goes in and is not shown again: left empty, it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from castcomm.common.errors import InvalidInput
from castcomm.common.public_addresses import ForbiddenAddress, public_addresses
from castcomm.common.registry import UnknownKey
from notifications.models import ProviderAccount, ProviderBreaker
from notifications.providers.base import Credential, Provider, providers_of
from notifications.providers.far_sides import FAR_SIDE
from notifications.services import breakers
from notifications.services.provider_accounts import account_of

log = structlog.get_logger(__name__)

MOST = 2_147_483_647  # of a limit
POSITIONS = (1, 1_000)
WEIGHTS = (1, 100)
LONGEST_NAME = 100
LONGEST_VALUE = 10_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def provider_class(channel: str, provider: str) -> type[Provider[Any]]:
    """The class of a provider; raises InvalidInput that names the field."""
    try:
        registry = providers_of(channel)
    except KeyError:
        raise InvalidInput("No provider carries this channel.", attr="channel") from None
    try:
        return registry.get(provider)
    except UnknownKey as error:
        raise InvalidInput(f"{error}.", attr="provider") from None


def editable_credentials(provider: type[Provider[Any]]) -> list[Credential]:
    """The fields that staff fill in."""
    return [one for one in provider.credentials if one.name != FAR_SIDE or settings.DEBUG]


def stored_credentials(account: ProviderAccount) -> dict[str, str]:
    """The fields that have a value, secrets included."""
    found: dict[str, str] = orjson.loads(account.credentials or "{}")
    return found


def is_many_lines(field: Credential) -> bool:
    """Whether a value of this field is a file's contents: a key in PEM, a service account in JSON."""
    return field.name.endswith(("_json", "_credentials", "private_key", "_pem", "certificate"))


def save_provider_account(
    *, account: ProviderAccount, credentials: Mapping[str, str], forget: Collection[str] = ()
) -> ProviderAccount:
    """Store a new or changed account; raises InvalidInput that names the field.

    ``credentials`` by field; a field that is missing keeps its value, and so does a secret that is empty.
    ``forget`` names secrets to be emptied. Values that are wrong leave everything as it was.
    """
    is_new = account._state.adding
    account.credentials = orjson.dumps(checked_credentials(account, credentials, forget)).decode()
    account.save()
    log.info(
        "provider_account.added" if is_new else "provider_account.changed",
        account=str(account.id),
        provider=account.provider,
        channel=account.channel,
        organization=str(account.organization_id or ""),
    )
    return account


def switch_provider_account(*, account: ProviderAccount, on: bool) -> bool:
    """Let an account be used, or not any more; whether that is a change."""
    changed = ProviderAccount.objects.filter(pk=account.pk, is_active=not on).exists()
    account.is_active = on
    account.save(update_fields=["is_active", "updated_at"])
    log.info("provider_account.switched", account=str(account.id), on=on)
    return changed


def delete_provider_account(*, account: ProviderAccount) -> None:
    """Remove an account and its breaker. What it has sent keeps its key."""
    key = str(account.pk)
    breakers.reset(key)
    with transaction.atomic():
        ProviderBreaker.objects.filter(account=key).delete()
        account.delete()
    log.info("provider_account.deleted", account=key, provider=account.provider)


def checked_credentials(
    account: ProviderAccount, given: Mapping[str, str], forget: Collection[str] = ()
) -> dict[str, str]:
    """The credentials that the account would have, after everything about it was checked; raises InvalidInput.

    ``attr`` of the error is a field of the account, or ``credentials.<field>``.
    """
    kind = provider_class(account.channel, account.provider)
    _check_plain_fields(account)
    declared = {one.name: one for one in editable_credentials(kind)}
    unknown = sorted({*given, *forget} - declared.keys())
    if unknown:
        raise InvalidInput("This provider has no such field.", attr=f"credentials.{unknown[0]}")
    merged = {name: value for name, value in stored_credentials(account).items() if name in declared}
    for name, value in given.items():
        if value.strip() or not declared[name].secret:
            merged[name] = value.strip()
    for name in forget:
        merged.pop(name, None)
    for field in declared.values():
        _check_value(field, merged.get(field.name, ""))
    # A default is not written down: where it depends on another field, the class has to see that nothing was said.
    kept = {name: value for name, value in merged.items() if value and value != declared[name].default}
    _check_together(kind, {**_defaults(kind), **kept})
    _check_host(account, {**_defaults(kind), **kept})
    _check_it_starts(account, kind, kept)
    return kept


def _check_plain_fields(account: ProviderAccount) -> None:
    name = (account.name or "").strip()
    if not name or len(name) > LONGEST_NAME or _CONTROL.search(name):
        raise InvalidInput(f"A name of 1 to {LONGEST_NAME} characters on one line.", attr="name")
    account.name = name
    for attr, (least, most) in (("position", POSITIONS), ("weight", WEIGHTS)):
        if not _is_within(getattr(account, attr), least, most):
            raise InvalidInput(f"A number from {least} to {most:,}.", attr=attr)
    for attr in ("per_minute", "per_hour", "per_day"):
        limit = getattr(account, attr)
        if limit is not None and not _is_within(limit, 1, MOST):
            raise InvalidInput(f"A number from 1 to {MOST:,}, or empty for no limit.", attr=attr)


def _is_within(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_value(field: Credential, value: str) -> None:
    attr = f"credentials.{field.name}"
    if not value:
        if field.required and not field.default:
            raise InvalidInput("This is needed.", attr=attr)
        return
    # Nothing here repeats the value: it may be a secret.
    if len(value) > LONGEST_VALUE:
        raise InvalidInput(f"At most {LONGEST_VALUE:,} characters.", attr=attr)
    if (_CONTROL_BUT_LINES if is_many_lines(field) else _CONTROL).search(value):
        raise InvalidInput("Line breaks and other control characters cannot stand here.", attr=attr)
    if field.choices and value not in field.choices:
        raise InvalidInput(f"One of: {', '.join(field.choices)}.", attr=attr)
    if field.name == "port" and not _is_number(value):
        raise InvalidInput("A number from 1 to 65,535.", attr=attr)
    if field.name == "from_email":
        try:
            validate_email(value)
        except ValidationError:
            raise InvalidInput("An e-mail address.", attr=attr) from None
    if field.name.endswith("_url"):
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidInput("An address with http:// or https://.", attr=attr)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and 1 <= int(value) <= 65_535


def _check_together(kind: type[Provider[Any]], values: Mapping[str, str]) -> None:
    try:
        kind.check_credentials(values)
    except InvalidInput as error:
        raise InvalidInput(error.message, attr=f"credentials.{error.attr}") from None


def _check_host(account: ProviderAccount, values: Mapping[str, str]) -> None:
    """An organization's own server stands on the internet: what stands beside CastComm is not its to reach."""
    host = values.get("host")
    if not host or account.organization_id is None:
        return
    try:
        public_addresses(host, int(values.get("port") or 25), allow_loopback=settings.DEBUG)
    except ForbiddenAddress:
        raise InvalidInput("This host is not on the public internet.", attr="credentials.host") from None
    except (OSError, UnicodeError):
        raise InvalidInput("This name leads nowhere.", attr="credentials.host") from None


def _check_it_starts(account: ProviderAccount, kind: type[Provider[Any]], values: Mapping[str, str]) -> None:
    """What the class itself cannot read, such as a key that is none. Its message may hold the value: it is not told."""
    tried = ProviderAccount(
        id=account.id,
        organization_id=account.organization_id,
        channel=account.channel,
        provider=account.provider,
        name=account.name,
        credentials=orjson.dumps(values).decode(),
    )
    try:
        kind(account_of(tried)).close()
    except Exception as error:  # whatever a client's library makes of a wrong value
        log.warning("provider_account.refused", provider=account.provider, error=type(error).__name__)
        raise InvalidInput(
            "The provider cannot work with these values: one of them is not what its field asks for.",
            attr="credentials",
        ) from None


def _defaults(kind: type[Provider[Any]]) -> dict[str, str]:
    return {one.name: one.default for one in kind.credentials if one.default}
