"""Quiet hours as people set them: for all channels, and for a channel instead."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from notifications.models import QuietHours
from notifications.services.zone_changes import time_anew
from notifications.vocabulary import Channel

# Nothing rings in the inbox.
CHANNELS = tuple(channel.value for channel in Channel if channel != Channel.IN_APP)
_FIELDS = ("enabled", "start", "end", "days", "time_zone")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::00)?")


def set_quiet_hours(*, organization: Organization, user: User, given: Mapping[str, Any]) -> None:
    """Change a person's quiet hours, all or nothing; what is not named stays.

    ``channels`` maps a channel to its own quiet hours, or to null for the same as for all. An end before the start
    means overnight. What waits for the end of quiet hours is timed anew. Raises InvalidInput that names the field.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput("Give an object.", attr="quiet_hours")
    channels = given.get("channels", {})
    if not isinstance(channels, Mapping):
        raise InvalidInput("An object of channels.", attr="quiet_hours.channels")
    for name in channels:
        if name not in CHANNELS:
            raise InvalidInput(f"One of {', '.join(CHANNELS)}.", attr=f"quiet_hours.channels.{name}"[:200])
    with transaction.atomic():
        # One writer at a time per person: two tabs cannot make the same row twice.
        User.objects.select_for_update(no_key=True).only("id").get(id=user.id)
        rows = {row.channel: row for row in QuietHours.objects.filter(organization=organization, user=user)}
        for_all = rows.get("") or QuietHours(organization=organization, user=user, enabled=False)
        own = {name: value for name, value in given.items() if name != "channels"}
        if own or "" not in rows:
            _change(for_all, own, "quiet_hours")
        for name, value in channels.items():
            _change_channel(rows.get(name), for_all, name, value)
        time_anew(user_id=user.id, organization_id=organization.id)


def _change_channel(row: QuietHours | None, for_all: QuietHours, channel: str, given: Any) -> None:
    if given is None:
        if row is not None:
            row.delete()
        return
    if row is None:
        # It begins as what holds for all.
        copied = {name: getattr(for_all, name) for name in ("organization", "user", *_FIELDS[1:])}
        row = QuietHours(channel=channel, **copied)
    _change(row, given, f"quiet_hours.channels.{channel}")


def _change(row: QuietHours, given: Any, attr: str) -> None:
    if not isinstance(given, Mapping):
        raise InvalidInput("Give an object.", attr=attr)
    for name in given:
        if name not in _FIELDS:
            raise InvalidInput(f"There is no {str(name)[:64]!r}.", attr=f"{attr}.{name}"[:200])
    row.enabled = _flag(given.get("enabled", row.enabled), f"{attr}.enabled")
    row.start = _time_of_day(given.get("start", row.start), f"{attr}.start")
    row.end = _time_of_day(given.get("end", row.end), f"{attr}.end")
    row.days = _days(given.get("days", row.days), f"{attr}.days")
    row.time_zone = check_zone(given.get("time_zone", row.time_zone), attr=f"{attr}.time_zone")
    if row.start == row.end:
        raise InvalidInput("The end must differ from the start.", attr=f"{attr}.end")
    row.save()


def _flag(value: Any, attr: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("true or false.", attr=attr)
    return value


def _time_of_day(value: Any, attr: str) -> dt.time:
    if isinstance(value, dt.time):
        return value
    found = _TIME.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    if found is None:
        raise InvalidInput("A time such as 22:00.", attr=attr)
    return dt.time(int(found[1]), int(found[2]))


def _days(value: Any, attr: str) -> list[int]:
    if not isinstance(value, list) or any(
        isinstance(d, bool) or not isinstance(d, int) or not 0 <= d <= 6 for d in value
    ):
        raise InvalidInput("A list of days, 0 for Monday to 6 for Sunday.", attr=attr)
    return sorted(set(value))


def check_zone(value: Any, *, attr: str) -> str:
    """A time zone of the IANA database, or empty; raises InvalidInput."""
    if not isinstance(value, str) or (value and value not in _zones()):
        raise InvalidInput(f"There is no time zone {str(value)[:64]!r}.", attr=attr)
    return value


@functools.cache
def _zones() -> frozenset[str]:
    """Looked up once: it reads the whole directory of zones."""
    return frozenset(zoneinfo.available_timezones())


def quiet_hours_of(*, organization: Organization, user: User) -> dict[str, Any]:
    """A person's quiet hours as the API shows them; null for a channel that has none of its own."""
    rows = {row.channel: row for row in QuietHours.objects.for_organization(organization).filter(user=user)}
    for_all = rows.get("") or QuietHours(enabled=False)
    channels = {name: _json(rows[name]) if name in rows else None for name in CHANNELS}
    return {**_json(for_all), "channels": channels}


def _json(row: QuietHours) -> dict[str, Any]:
    return {
        "enabled": row.enabled,
        "start": f"{row.start:%H:%M}",
        "end": f"{row.end:%H:%M}",
        "days": row.days,
        "time_zone": row.time_zone,
    }
