"""How often somebody wants to hear of what: a person's own settings, and the organization's for who has none."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.models import Category, DigestFrequency, DigestSetting, EventType
from notifications.services.digests.schedule import closes_at
from notifications.services.policy_facts import DigestChoice

MAX_CHANGES = 500
_FIELDS = ("category", "frequency", "at", "weekday")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_INSTANT = DigestChoice(category_id=None, frequency=DigestFrequency.INSTANT.value)
Choices = Mapping[uuid.UUID | None, DigestChoice]


@dataclass(frozen=True, slots=True)
class Change:
    """A setting for a category ("" for all); ``frequency`` None takes it away. None of the others means as it was."""

    category: str
    frequency: str | None
    at: dt.time | None
    weekday: int | None


def parse_settings(given: Any) -> list[Change]:
    """Check the form of the settings to make; raises InvalidInput that names the entry and field."""
    if not isinstance(given, list) or len(given) > MAX_CHANGES:
        raise InvalidInput(f"Give a list of at most {MAX_CHANGES} settings.", attr="set")
    read = [_Given(one, f"set.{position}") for position, one in enumerate(given)]
    return [Change(one.category(), one.frequency(), one.at(), one.weekday()) for one in read]


class _Given:
    """One entry as it came; each method reads a field."""

    def __init__(self, given: Any, attr: str) -> None:
        if not isinstance(given, Mapping):
            raise InvalidInput("Each setting is an object.", attr=attr)
        self._given, self._attr = given, attr
        for name in given:
            if name not in _FIELDS:
                raise self._wrong(f"There is no {str(name)[:40]!r}.", str(name)[:40])

    def _wrong(self, message: str, field: str, *, code: str = "invalid") -> InvalidInput:
        return InvalidInput(message, attr=f"{self._attr}.{field}", code=code)

    def category(self) -> str:
        category = self._given.get("category")
        if category is not None and (not isinstance(category, str) or not category):
            raise self._wrong("The key of a category, or null for all.", "category")
        return category or ""

    def frequency(self) -> str | None:
        if "frequency" not in self._given:
            raise self._wrong("Say how often; null takes the setting away.", "frequency", code="required")
        frequency: str | None = self._given["frequency"]
        if frequency is not None and frequency not in DigestFrequency.values:
            raise self._wrong(f"One of {', '.join(DigestFrequency.values)}, or null.", "frequency")
        return frequency

    def at(self) -> dt.time | None:
        at = self._given.get("at")
        if at is None:
            return None
        if not isinstance(at, str) or not _TIME.fullmatch(at):
            raise self._wrong("A time such as 09:00.", "at")
        return dt.time.fromisoformat(at)

    def weekday(self) -> int | None:
        weekday: int | None = self._given.get("weekday")
        if weekday is None:
            return None
        if isinstance(weekday, bool) or not isinstance(weekday, int) or not 0 <= weekday <= 6:
            raise self._wrong("A day, 0 for Monday to 6 for Sunday.", "weekday")
        return weekday


def set_digests(*, organization: Organization, user: User | None, changes: Sequence[Change]) -> None:
    """Make or take away settings of a person (None: the organization's), all or nothing.

    Raises InvalidInput for an unknown category. What waits in an open window goes out when that closes; new mail
    follows the new setting.
    """
    categories = {row.key: row for row in Category.objects.for_organization(organization)}
    with transaction.atomic():
        # One writer at a time: two tabs cannot make the same setting twice.
        owner: Any = (
            User.objects.filter(id=user.id) if user else Organization.objects.filter(id=organization.id)
        )
        owner.select_for_update(no_key=True).only("id").get()
        for position, change in enumerate(changes):
            if change.category and change.category not in categories:
                raise InvalidInput(
                    f"There is no category {change.category!r}.",
                    attr=f"set.{position}.category",
                    code="not_found",
                )
            _set_one(organization, user, categories.get(change.category), change)


def _set_one(
    organization: Organization, user: User | None, category: Category | None, change: Change
) -> None:
    identity = {"organization": organization, "user": user, "category": category}
    row = DigestSetting.objects.filter(**identity).first()
    if change.frequency is None:
        if row is not None:
            row.delete()
        return
    row = row or DigestSetting(**identity)
    row.frequency = change.frequency
    row.at = change.at or row.at
    row.weekday = row.weekday if change.weekday is None else change.weekday
    row.save()


def settings_of(*, organization: Organization, user: User | None) -> dict[str, Any]:
    """What a person (None: the organization) has set, for all and for each category, and what it comes to.

    ``effective`` says who set it; ``next_at`` when the digest would go out that something goes into now.
    """
    own, defaults = _choices(organization, user)
    zone = user.time_zone if user else "UTC"
    digestible = set(
        EventType.objects.for_organization(organization)
        .filter(is_digestible=True, is_active=True)
        .values_list("category_id", flat=True)
    )
    shown = _Shown(own, defaults if user else {}, zone, current_time())
    return {
        "time_zone": zone,
        "frequencies": list(DigestFrequency.values),
        "all": shown.json(None),
        "categories": [
            {
                "key": row.key,
                "name": row.name,
                "description": row.description,
                "is_digestible": row.id in digestible,
                **shown.json(row.id),
            }
            for row in Category.objects.for_organization(organization)
        ],
    }


def _choices(organization: Organization, user: User | None) -> tuple[Choices, Choices]:
    """What is set by the person, and what by the organization; for the organization, its own alone."""
    both: tuple[dict[uuid.UUID | None, DigestChoice], dict[uuid.UUID | None, DigestChoice]] = ({}, {})
    rows = DigestSetting.objects.for_organization(organization)
    wanted = rows.filter(user=None) if user is None else rows.filter(user=None) | rows.filter(user=user)
    for row in wanted:
        choice = DigestChoice(
            category_id=row.category_id, frequency=row.frequency, at=row.at, weekday=row.weekday
        )
        both[0 if user is None or row.user_id else 1][row.category_id] = choice
    return both


@dataclass(frozen=True, slots=True)
class _Shown:
    own: Choices
    defaults: Choices
    zone: str
    now: dt.datetime

    def json(self, category_id: uuid.UUID | None) -> dict[str, Any]:
        own = self.own.get(category_id)
        choice, set_by = self._deciding(category_id)
        return {
            "setting": choice_json(own) if own else None,
            "effective": {**choice_json(choice), "set_by": set_by},
            "next_at": self._next(choice),
        }

    def _deciding(self, category_id: uuid.UUID | None) -> tuple[DigestChoice, str]:
        for choices, who in ((self.own, "person"), (self.defaults, "organization")):
            choice = choices.get(category_id) or choices.get(None)
            if choice is not None:
                return choice, who
        return _INSTANT, "nobody"

    def _next(self, choice: DigestChoice) -> str | None:
        if choice.frequency == DigestFrequency.INSTANT:
            return None
        return closes_at(choice, self.zone, self.now).isoformat().replace("+00:00", "Z")


def choice_json(choice: DigestChoice) -> dict[str, Any]:
    return {"frequency": choice.frequency, "at": f"{choice.at:%H:%M}", "weekday": choice.weekday}
