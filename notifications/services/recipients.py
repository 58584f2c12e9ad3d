"""From what a caller named (ids, addresses, users) to the facts that routing and rendering need.

All users of one call, with their preferences, quiet hours and suppressions, come from one statement.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import phonenumbers

from accounts.models import User
from castcomm.common import sql
from castcomm.common.crypto import blind_index
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import parse_id
from notifications.rendering.context import person_context
from notifications.rendering.sandbox import storable
from notifications.services.local_times import QuietPeriod
from notifications.services.policy_facts import DigestChoice
from notifications.vocabulary import Channel

_ADDRESS = re.compile(
    r"[^@\s\x00-\x1f\x7f<>\",;:\\()\[\]]+@(?:localhost|[^@\s\x00-\x1f\x7f<>\",;:\\()\[\]]+\.[^@\s\x00-\x1f\x7f.<>\",;:\\()\[\]]+)"
)
MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSwitch:
    """A personal preference, not yet narrowed to an event type."""

    scope: str
    target: uuid.UUID | None
    channel: str
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One recipient: a member of the organization, or a bare address (``user_id`` is None)."""

    ref: str
    user_id: uuid.UUID | None = None
    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    locale: str = "en"
    time_zone: str = "UTC"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    switches: tuple[RawSwitch, ...] = ()
    quiet: QuietPeriod | None = None
    quiet_by_channel: Mapping[str, QuietPeriod | None] = field(default_factory=dict)
    digests: tuple[DigestChoice, ...] = ()
    addresses: frozenset[str] = frozenset()
    suppressed: frozenset[str] = frozenset()

    def template_context(self) -> dict[str, Any]:
        """What templates see as ``user``."""
        return person_context(
            user_id=str(self.user_id) if self.user_id else "",
            email=self.email,
            first_name=self.first_name,
            last_name=self.last_name,
            locale=self.locale,
            time_zone=self.time_zone,
            attributes=self.attributes,
        )


@dataclass(frozen=True, slots=True)
class OrganizationFacts:
    """What the recipients' query tells of the organization on the way."""

    name: str
    locale: str
    catalog_revision: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A recipient as it was named: exactly one of the fields is set."""

    position: int
    user_id: uuid.UUID | None = None
    email: str = ""
    phone: str = ""


def parse_recipients(recipients: Sequence[Any]) -> list[Reference]:
    """Check the form of each recipient; raises InvalidInput that names its position."""
    if isinstance(recipients, str | bytes | Mapping) or not isinstance(recipients, Sequence):
        raise InvalidInput("Give a list of recipients.", attr="recipients")
    if not recipients:
        raise InvalidInput("Give at least one recipient.", attr="recipients", code="required")
    return [_parse_one(position, given) for position, given in enumerate(recipients)]


def _parse_one(position: int, given: Any) -> Reference:
    attr = f"recipients.{position}"
    if isinstance(given, User):
        return Reference(position, user_id=given.id)
    if isinstance(given, Mapping):
        named = {key: value for key, value in given.items() if value}
        if len(named) != 1 or next(iter(named)) not in ("user", "email", "phone"):
            raise InvalidInput('Give one of {"user"}, {"email"} or {"phone"}.', attr=attr)
        kind, value = next(iter(named.items()))
        if kind == "phone":
            return Reference(position, phone=normalize_phone(value, attr=attr))
        if kind == "email":
            return Reference(position, email=normalize_email(value, attr=attr))
        given = value
    as_id = parse_id(given)
    if as_id is not None:
        return Reference(position, user_id=as_id)
    if isinstance(given, str) and "@" in given:
        return Reference(position, email=normalize_email(given, attr=attr))
    raise InvalidInput("This is neither a user's id nor an e-mail address.", attr=attr)


def normalize_email(value: Any, *, attr: str) -> str:
    """Lower-cased address (RFC 5321 without quoted local parts); raises InvalidInput."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if len(text) > MAX_ADDRESS or not _ADDRESS.fullmatch(text) or not storable(text):
        raise InvalidInput("This is not an e-mail address.", attr=attr)
    return text


def normalize_phone(value: Any, *, attr: str) -> str:
    """The number in E.164; raises InvalidInput."""
    try:
        number = phonenumbers.parse(str(value), None)
    except phonenumbers.NumberParseException as error:
        raise InvalidInput("Write the number with its country code, like +12025550123.", attr=attr) from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidInput("This phone number does not exist.", attr=attr)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_PEOPLE = """
SELECT o.name, o.locale, o.catalog_revision,
       u.id, u.email, u.phone_index <> '', u.first_name, u.last_name, u.locale, u.time_zone, u.attributes::text,
       (SELECT json_agg(json_build_array(p.scope, coalesce(p.event_type_id, p.category_id), p.channel, p.enabled))::text
          FROM notifications_preference p WHERE p.organization_id = o.id AND p.user_id = u.id),
       (SELECT array_agg(s.channel) FROM notifications_suppression s
         WHERE s.organization_id = o.id AND s.address_index IN (u.email_index, u.phone_index)
           AND s.address_index <> '' AND (s.expires_at IS NULL OR s.expires_at > now())),
       (SELECT json_agg(json_build_array(q.channel, q.enabled, q.start, q."end", q.days, q.time_zone))::text
          FROM notifications_quiethours q WHERE q.organization_id = o.id AND q.user_id = u.id),
       (SELECT json_agg(json_build_array(g.category_id, g.frequency, g.at, g.weekday))::text
          FROM notifications_digestsetting g WHERE g.organization_id = o.id AND g.user_id = u.id),
       EXISTS (SELECT 1 FROM notifications_pushsubscription d WHERE d.organization_id = o.id AND d.user_id = u.id)
  FROM accounts_organization o
  LEFT JOIN accounts_membership m ON m.organization_id = o.id AND m.is_active
  LEFT JOIN accounts_user u ON u.id = m.user_id AND u.is_active
 WHERE o.id = %s AND (u.id = ANY(%s) OR u.email_index = ANY(%s))
"""
_EITHER = "(u.id = ANY(%s) OR u.email_index = ANY(%s))"
_PEOPLE_BY_ID = _PEOPLE.replace(_EITHER, "u.id = ANY(%s)")
# A plan for "any of a list" expects ten people and joins for ten; the common call names one.
_PERSON_BY_ID = _PEOPLE.replace(_EITHER, "u.id = %s")
_PERSON_BY_EMAIL = _PEOPLE.replace(_EITHER, "u.email_index = %s")

_ORGANIZATION = "SELECT name, locale, catalog_revision FROM accounts_organization WHERE id = %s"

_SUPPRESSED = """
SELECT channel, address_index FROM notifications_suppression
 WHERE organization_id = %s AND address_index = ANY(%s) AND (expires_at IS NULL OR expires_at > now())
"""


def load_people(
    organization_id: uuid.UUID, references: Sequence[Reference]
) -> tuple[OrganizationFacts, list[Person]]:
    """The recipients in the order given, each person once; raises InvalidInput for a user that is no member.

    An address of a member is that member; any other address is a bare one.
    """
    ids = [ref.user_id for ref in references if ref.user_id]
    indexes = [blind_index(ref.email, kind="email") for ref in references if ref.email]
    rows = _find_people(organization_id, ids, indexes)
    people = {person.user_id: person for person in map(_person, rows)}
    by_email = {person.email: person for person in people.values()}
    top = rows[0][:3] if rows else sql.run(_ORGANIZATION, (organization_id,))[0]
    found: dict[str, Person] = {}
    bare: list[Reference] = []
    for ref in references:
        person = people.get(ref.user_id) if ref.user_id else by_email.get(ref.email)
        if person is None and ref.user_id:
            raise InvalidInput(
                f"No active member has the id {ref.user_id}.",
                attr=f"recipients.{ref.position}",
                code="unknown_recipient",
            )
        if person is None:
            bare.append(ref)
            person = Person(ref=ref.email or ref.phone)
        found.setdefault(person.ref, person)
    facts = OrganizationFacts(*top)
    if bare:
        found.update(_bare_people(organization_id, bare, facts.locale))
    return facts, list(found.values())


def _find_people(
    organization_id: uuid.UUID, ids: list[uuid.UUID], indexes: list[str]
) -> list[tuple[Any, ...]]:
    if len(ids) + len(indexes) == 1:
        statement = _PERSON_BY_ID if ids else _PERSON_BY_EMAIL
        return sql.run(statement, (organization_id, (ids or indexes)[0]))
    if indexes:
        return sql.run(_PEOPLE, (organization_id, ids, indexes))
    return sql.run(_PEOPLE_BY_ID, (organization_id, ids))


def _person(row: tuple[Any, ...]) -> Person:
    (user_id, email, has_phone, first_name, last_name, locale, zone, attributes, switches, suppressed) = row[
        3:13
    ]
    quiet_rows, digests, has_push = row[13:]
    quiet = _quiet_periods(orjson.loads(quiet_rows), zone) if quiet_rows else {}
    addresses = {Channel.IN_APP.value, Channel.EMAIL.value}
    if has_phone:
        addresses.add(Channel.SMS.value)
    if has_push:
        addresses.add(Channel.PUSH.value)
    return Person(
        ref=str(user_id),
        user_id=user_id,
        email=email,
        first_name=first_name,
        last_name=last_name,
        locale=locale,
        time_zone=zone,
        attributes=orjson.loads(attributes),
        switches=tuple(_switch(*given) for given in orjson.loads(switches)) if switches else (),
        quiet=quiet.pop("", None),
        quiet_by_channel=quiet,
        digests=tuple(_digest(*given) for given in orjson.loads(digests)) if digests else (),
        addresses=frozenset(addresses),
        suppressed=frozenset(suppressed or ()),
    )


def _switch(scope: str, target: str | None, channel: str, enabled: bool) -> RawSwitch:
    return RawSwitch(
        scope=scope, target=uuid.UUID(target) if target else None, channel=channel, enabled=enabled
    )


def _quiet_periods(rows: list[list[Any]], zone: str) -> dict[str, QuietPeriod | None]:
    """By channel ("" for all); None where quiet hours are off."""
    return {
        channel: QuietPeriod(
            start=dt.time.fromisoformat(start),
            end=dt.time.fromisoformat(end),
            days=frozenset(days),
            zone=own_zone or zone,
        )
        if enabled
        else None
        for channel, enabled, start, end, days, own_zone in rows
    }


def _digest(category: str | None, frequency: str, at: str, weekday: int) -> DigestChoice:
    return DigestChoice(
        category_id=uuid.UUID(category) if category else None,
        frequency=frequency,
        at=dt.time.fromisoformat(at),
        weekday=weekday,
    )


def _bare_people(organization_id: uuid.UUID, bare: list[Reference], locale: str) -> dict[str, Person]:
    by_index = {address_index(ref.email, ref.phone): ref for ref in bare}
    rows = sql.run(_SUPPRESSED, (organization_id, list(by_index)))
    suppressed: dict[str, set[str]] = {}
    for channel, index in rows:
        suppressed.setdefault(index, set()).add(channel)
    return {
        ref.email or ref.phone: Person(
            ref=ref.email or ref.phone,
            email=ref.email,
            phone=ref.phone,
            locale=locale,
            addresses=frozenset({Channel.EMAIL.value if ref.email else Channel.SMS.value}),
            suppressed=frozenset(suppressed.get(index, ())),
        )
        for index, ref in by_index.items()
    }


def address_index(email: str, phone: str) -> str:
    """The blind index of a bare address."""
    return blind_index(email, kind="email") if email else blind_index(phone, kind="phone")
