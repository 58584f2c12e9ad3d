"""What a person wants, and what an organization has set for everyone: the switches, and the proof of each change."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from notifications.models import Category, EventType, Preference, PreferenceScope
from notifications.services.consents import Decided, Origin, record_all
from notifications.vocabulary import Channel

MAX_CHANGES = 500
ALL_CHANNELS = "*"


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
    if enabled is not None and not isinstance(enabled, bool):
        raise InvalidInput("true, false or null.", attr=f"{attr}.enabled")
    key = given.get("key", "")
    if not isinstance(key, str) or (scope != PreferenceScope.GLOBAL and not key):
        raise InvalidInput("Name the category or event type.", attr=f"{attr}.key", code="required")
    return Change(scope, key, "" if channel == ALL_CHANNELS else channel, enabled)


_Place = tuple[str, uuid.UUID | None, str]


@dataclass(frozen=True, slots=True)
class _Target:
    """A change, and what it is about; ``name`` and ``description`` are those that pages show."""

    change: Change
    category: Category | None = None
    event_type: EventType | None = None

    @property
    def place(self) -> _Place:
        named = self.category or self.event_type
        return self.change.scope, named.id if named else None, self.change.channel

    @property
    def decided(self) -> Decided:
        named = self.category or self.event_type
        what = f"{named.name}. {named.description}".strip() if named else "Everything."
        where = Channel(self.change.channel).label if self.change.channel else "All channels"
        said = {True: "on", False: "off", None: "no choice of one's own"}[self.change.enabled]
        return Decided(
            scope=self.change.scope,
            key=named.key if named else "",
            channel=self.change.channel,
            granted=self.change.enabled,
            wording=f"{what} {where}: {said}.",
        )


def set_switches(
    *, organization: Organization, user: User | None, changes: Sequence[Change], origin: Origin | None = None
) -> None:
    """Set or take away switches of a person (None: the organization's defaults), all or nothing.

    What changes for a person is put on record with ``origin``. Raises InvalidInput for an unknown category or event
    type, and (``required``) for turning off an event type that is critical.
    """
    targets = _targets(organization, changes)
    with transaction.atomic():
        # One writer at a time per person: two tabs cannot make the same switch twice.
        if user is not None:
            User.objects.select_for_update(no_key=True).only("id").get(id=user.id)
        else:
            Organization.objects.select_for_update(no_key=True).only("id").get(id=organization.id)
        rows = {
            (row.scope, row.category_id or row.event_type_id, row.channel): row
            for row in Preference.objects.for_organization(organization).filter(user=user)
        }
        changed = [target for target in targets if _set(organization, user, target, rows)]
        if user is not None:
            record_all(
                organization_id=organization.id,
                user_id=user.id,
                decided=[target.decided for target in changed],
                origin=origin or Origin(),
            )


def _targets(organization: Organization, changes: Sequence[Change]) -> list[_Target]:
    categories = {row.key: row for row in Category.objects.for_organization(organization)}
    event_types = {row.key: row for row in EventType.objects.for_organization(organization)}
    targets = []
    for position, change in enumerate(changes):
        category = event_type = None
        if change.scope == PreferenceScope.CATEGORY:
            category = _known(categories, change.key, f"set.{position}.key", "category")
        if change.scope == PreferenceScope.EVENT_TYPE:
            event_type = _known(event_types, change.key, f"set.{position}.key", "event type")
            if event_type.is_critical and change.enabled is False:
                raise InvalidInput(
                    f"{event_type.name} is too important to be turned off.",
                    attr=f"set.{position}.enabled",
                    code="required",
                )
        targets.append(_Target(change, category, event_type))
    return targets


def _known(rows: Mapping[str, Any], key: str, attr: str, kind: str) -> Any:
    if key not in rows:
        raise InvalidInput(f"There is no {kind} {key[:100]!r}.", attr=attr, code="not_found")
    return rows[key]


def _set(
    organization: Organization, user: User | None, target: _Target, rows: dict[_Place, Preference]
) -> bool:
    """Bring one switch to its state; returns whether it had another one. Keeps ``rows`` up to date."""
    row, enabled = rows.get(target.place), target.change.enabled
    if (row.enabled if row is not None else None) == enabled:
        return False
    if enabled is None and row is not None:
        row.delete()
        del rows[target.place]
        return True
    row = row or Preference(
        organization=organization,
        user=user,
        scope=target.change.scope,
        category=target.category,
        event_type=target.event_type,
        channel=target.change.channel,
    )
    row.enabled = bool(enabled)
    row.save()
    rows[target.place] = row
    return True


def switches_of(*, organization: Organization, user: User | None) -> dict[str, Any]:
    """A person's own switches (None: the organization's for everyone), as the API shows them (null: not set)."""
    rows = Preference.objects.for_organization(organization).filter(user=user)
    switches = {(row.scope, row.category_id or row.event_type_id, row.channel): row.enabled for row in rows}

    def cells(scope: str, target: uuid.UUID | None) -> dict[str, bool | None]:
        return {name or ALL_CHANNELS: switches.get((scope, target, name)) for name in ("", *Channel.values)}

    event_types = EventType.objects.for_organization(organization).filter(is_active=True)
    return {
        "global": cells(PreferenceScope.GLOBAL, None),
        "categories": [
            {
                "key": row.key,
                "name": row.name,
                "description": row.description,
                "requires_consent": row.requires_consent,
                "channels": cells(PreferenceScope.CATEGORY, row.id),
            }
            for row in Category.objects.for_organization(organization)
        ],
        "event_types": [
            {
                "key": row.key,
                "name": row.name,
                "category": row.category.key,
                "critical": row.is_critical,
                "channels": cells(PreferenceScope.EVENT_TYPE, row.id),
            }
            for row in event_types.select_related("category")
        ],
    }
