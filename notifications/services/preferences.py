"""What a person wants: the switches and quiet hours, and what they come to for each event type and channel."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.models import Category, EventType, Preference, PreferenceScope, QuietHours
from notifications.services.catalog import catalog_of
from notifications.services.planning import routing_facts
from notifications.services.recipients import load_people, parse_recipients
from notifications.services.routing import Action, decide
from notifications.vocabulary import Channel

MAX_CHANGES = 500
ALL_CHANNELS = "*"
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::00)?")


@dataclass(frozen=True, slots=True)
class Change:
    """One switch to set; ``enabled`` None takes it away, so that the next less specific one decides."""

    scope: str
    key: str
    channel: str
    enabled: bool | None


def parse_changes(given: Any) -> list[Change]:
    """Check the form of the switches to set; raises InvalidInput that names the entry."""
    if not isinstance(given, list) or len(given) > MAX_CHANGES:
        raise InvalidInput(f"Give a list of at most {MAX_CHANGES} switches.", attr="set")
    return [_parse_change(f"set.{position}", one) for position, one in enumerate(given)]


def _parse_change(attr: str, given: Any) -> Change:
    if not isinstance(given, Mapping):
        raise InvalidInput("Each switch is an object.", attr=attr)
    scope, channel, enabled = given.get("scope"), given.get("channel", ALL_CHANNELS), given.get("enabled")
    if scope not in PreferenceScope.values:
        raise InvalidInput(f"One of {', '.join(PreferenceScope.values)}.", attr=f"{attr}.scope")
    if channel not in (*Channel.values, ALL_CHANNELS):
        raise InvalidInput(f"One of {', '.join(Channel.values)} or {ALL_CHANNELS}.", attr=f"{attr}.channel")
    if enabled not in (True, False, None) or (enabled is not None and not isinstance(enabled, bool)):
        raise InvalidInput("true, false or null.", attr=f"{attr}.enabled")
    key = given.get("key", "")
    if not isinstance(key, str) or (scope != PreferenceScope.GLOBAL and not key):
        raise InvalidInput("Name the category or event type.", attr=f"{attr}.key", code="required")
    return Change(scope, key, "" if channel == ALL_CHANNELS else channel, enabled)


def set_switches(*, organization: Organization, user: User | None, changes: Sequence[Change]) -> None:
    """Set or take away switches of a person (None: the organization's defaults), all or nothing.

    Raises InvalidInput for an unknown category or event type.
    """
    categories = {row.key: row for row in Category.objects.for_organization(organization)}
    event_types = {row.key: row for row in EventType.objects.for_organization(organization)}
    with transaction.atomic():
        # One writer at a time per person: two tabs cannot make the same switch twice.
        if user is not None:
            User.objects.select_for_update(no_key=True).only("id").get(id=user.id)
        else:
            Organization.objects.select_for_update(no_key=True).only("id").get(id=organization.id)
        for position, change in enumerate(changes):
            category = event_type = None
            if change.scope == PreferenceScope.CATEGORY:
                category = _known(categories, change.key, f"set.{position}.key", "category")
            if change.scope == PreferenceScope.EVENT_TYPE:
                event_type = _known(event_types, change.key, f"set.{position}.key", "event type")
            _set_one(organization, user, change, category, event_type)


def _known(rows: Mapping[str, Any], key: str, attr: str, kind: str) -> Any:
    if key not in rows:
        raise InvalidInput(f"There is no {kind} {key!r}.", attr=attr, code="not_found")
    return rows[key]


def _set_one(
    organization: Organization,
    user: User | None,
    change: Change,
    category: Category | None,
    event_type: EventType | None,
) -> None:
    identity = {
        "organization": organization,
        "user": user,
        "scope": change.scope,
        "category": category,
        "event_type": event_type,
        "channel": change.channel,
    }
    if change.enabled is None:
        for row in Preference.objects.filter(**identity):
            row.delete()
        return
    row, created = Preference.objects.get_or_create(**identity, defaults={"enabled": change.enabled})
    if not created and row.enabled != change.enabled:
        row.enabled = change.enabled
        row.save()


def set_quiet_hours(*, organization: Organization, user: User, given: Mapping[str, Any]) -> QuietHours:
    """Change a person's quiet hours; what is not named stays. Raises InvalidInput that names the field."""
    if not isinstance(given, Mapping):
        raise InvalidInput("Give an object.", attr="quiet_hours")
    with transaction.atomic():
        row: QuietHours = QuietHours.objects.select_for_update().get_or_create(
            organization=organization, user=user, channel="", defaults={"enabled": False}
        )[0]
        for name in given:
            if name not in ("enabled", "start", "end", "days", "time_zone"):
                raise InvalidInput(f"There is no {name!r}.", attr=f"quiet_hours.{name}")
        row.enabled = _flag(given.get("enabled", row.enabled))
        row.start = _time_of_day(given.get("start", row.start), "start")
        row.end = _time_of_day(given.get("end", row.end), "end")
        row.days = _days(given.get("days", row.days))
        row.time_zone = check_zone(given.get("time_zone", row.time_zone), attr="quiet_hours.time_zone")
        if row.start == row.end:
            raise InvalidInput("The end must differ from the start.", attr="quiet_hours.end")
        row.save()
    return row


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("true or false.", attr="quiet_hours.enabled")
    return value


def _time_of_day(value: Any, name: str) -> dt.time:
    if isinstance(value, dt.time):
        return value
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput("A time such as 22:00.", attr=f"quiet_hours.{name}")
    return dt.time(int(found[1]), int(found[2]))


def _days(value: Any) -> list[int]:
    if not isinstance(value, list) or any(
        isinstance(d, bool) or not isinstance(d, int) or not 0 <= d <= 6 for d in value
    ):
        raise InvalidInput("A list of days, 0 for Monday to 6 for Sunday.", attr="quiet_hours.days")
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


def preferences_of(*, organization: Organization, user: User) -> dict[str, Any]:
    """A person's own switches, as the API shows them (null: not set)."""
    rows = Preference.objects.for_organization(organization).filter(user=user)
    switches = {(row.scope, row.category_id or row.event_type_id, row.channel): row.enabled for row in rows}

    def cells(scope: str, target: Any) -> dict[str, bool | None]:
        return {name or ALL_CHANNELS: switches.get((scope, target, name)) for name in ("", *Channel.values)}

    quiet = QuietHours.objects.for_organization(organization).filter(user=user, channel="").first()
    return {
        "global": cells(PreferenceScope.GLOBAL, None),
        "categories": [
            {
                "key": row.key,
                "name": row.name,
                "description": row.description,
                "channels": cells("category", row.id),
            }
            for row in Category.objects.for_organization(organization)
        ],
        "event_types": [
            {
                "key": row.key,
                "name": row.name,
                "category": row.category.key,
                "critical": row.is_critical,
                "channels": cells("event_type", row.id),
            }
            for row in EventType.objects.for_organization(organization)
            .filter(is_active=True)
            .select_related("category")
        ],
        "quiet_hours": quiet_json(quiet),
    }


def quiet_json(row: QuietHours | None) -> dict[str, Any]:
    row = row or QuietHours(enabled=False)
    return {
        "enabled": row.enabled,
        "start": f"{row.start:%H:%M}",
        "end": f"{row.end:%H:%M}",
        "days": row.days,
        "time_zone": row.time_zone,
    }


def effective_preferences(*, organization: Organization, user: User) -> list[dict[str, Any]]:
    """For each event type and channel, whether it would go out now, and why: routing's own answer."""
    facts, people = load_people(organization.id, parse_recipients([user]))
    catalog = catalog_of(organization.id, revision=facts.catalog_revision)
    cells = []
    for kind in sorted(catalog.event_types.values(), key=lambda one: one.key):
        if not kind.is_active:
            continue
        person = routing_facts(people[0], kind, catalog)
        content = kind.template.content_for(people[0].locale, facts.locale) if kind.template else None
        contents = content.channels() if content else frozenset(Channel.values)
        decided = {
            one.channel: one
            for one in decide(event=kind.routing, person=person, contents=contents, now=current_time())
        }
        for channel in Channel.values:
            one = decided.get(channel)
            cells.append(
                {
                    "event_type": kind.key,
                    "category": kind.category_key,
                    "channel": channel,
                    "effective": one is not None and one.action != Action.SUPPRESS,
                    "reason": one.reason.value if one else "not_requested",
                }
            )
    return cells
