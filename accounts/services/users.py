"""Writes about people."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Mapping
from typing import Any

import phonenumbers
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.events import UserRegistered, UserZoneChanged
from accounts.models import Membership, Organization, User
from accounts.models.organizations import Role
from accounts.services.organizations import add_member
from castcomm.common import events
from castcomm.common.errors import Conflict, InvalidInput

MAX_ATTRIBUTES = 200
_NAME_LENGTH = 100


def register_user(
    *,
    email: str,
    organization: Organization,
    password: str | None = None,
    first_name: str = "",
    last_name: str = "",
    phone: str = "",
    locale: str | None = None,
    time_zone: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    role: str = Role.MEMBER,
    domain_role: str = "",
) -> User:
    """Make a person who belongs to ``organization`` and publish UserRegistered, in one transaction.

    Raises InvalidInput with the field's name, and Conflict when the address has an account already.
    Without a password the person signs in after a password reset.
    """
    address = clean_email(email)
    user = User(
        email=address,
        phone=clean_phone(phone),
        locale=clean_locale(locale or organization.locale),
        time_zone=clean_time_zone(time_zone or organization.time_zone),
        attributes=clean_attributes(attributes or {}),
    )
    set_names(user, first_name=first_name, last_name=last_name)
    if password is not None:
        check_password_strength(password, user)
    user.set_password(password)
    with transaction.atomic():
        try:
            with transaction.atomic():
                user.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                "There is an account with this e-mail address.", attr="email", code="email_taken"
            ) from error
        welcome_user(user=user, organization=organization, role=role, domain_role=domain_role)
    return user


def welcome_user(
    *,
    user: User,
    organization: Organization,
    role: str = Role.MEMBER,
    domain_role: str = "",
    verified: bool = True,
) -> None:
    """Give a new account its first membership and publish UserRegistered, in one transaction.

    Whoever typed an address (``verified=False``) need not be its owner: then UserRegistered, and with it every
    message to that address, waits for ``announce_registration``.
    """
    with transaction.atomic():
        membership = add_member(
            organization=organization, user=user, role=role, domain_role=domain_role, announce=False
        )
        if verified:
            events.publish(UserRegistered(user_id=user.id, organization_id=organization.id))
        else:
            membership.registration_pending = True
            membership.save(update_fields=["registration_pending"])


def announce_registration(user_id: uuid.UUID) -> None:
    """Publish UserRegistered for someone whose address is confirmed by now; nothing when it was published."""
    with transaction.atomic():
        waiting = Membership.objects.select_for_update().filter(user=user_id, registration_pending=True)
        for membership in waiting:
            membership.registration_pending = False
            membership.save(update_fields=["registration_pending"])
            events.publish(UserRegistered(user_id=user_id, organization_id=membership.organization_id))


def update_profile(*, user: User, changes: Mapping[str, Any]) -> User:
    """Change what people may change about themselves; raises InvalidInput with the field's name.

    ``attributes`` are merged into those that are there; a value of None removes one. Publishes UserZoneChanged.
    """
    fields = set(changes)
    unknown = fields - {"first_name", "last_name", "phone", "locale", "time_zone", "attributes"}
    if unknown:
        raise InvalidInput("This cannot be changed here.", attr=min(unknown))
    with transaction.atomic():
        user = User.objects.select_for_update().get(id=user.id)
        zone_before = user.time_zone
        set_names(
            user,
            first_name=changes.get("first_name", user.first_name),
            last_name=changes.get("last_name", user.last_name),
        )
        if "phone" in fields:
            user.phone = clean_phone(changes["phone"])
        if "locale" in fields:
            user.locale = clean_locale(changes["locale"])
        if "time_zone" in fields:
            user.time_zone = clean_time_zone(changes["time_zone"])
        if "attributes" in fields:
            user.attributes = merge_attributes(user.attributes, changes["attributes"])
        user.save(update_fields=fields)
        announce_zone(user, before=zone_before)
    return user


def save_person(user: User) -> None:
    """Save what staff changed on a person's account, checked by the form that they used. Publishes UserZoneChanged."""
    with transaction.atomic():
        before = User.objects.select_for_update().only("time_zone").get(id=user.id).time_zone
        user.save()
        announce_zone(user, before=before)


def announce_zone(user: User, *, before: str) -> None:
    """Publish UserZoneChanged if the zone is another one than ``before``; call it in the transaction of the change."""
    if user.time_zone != before:
        events.publish(UserZoneChanged(user_id=user.id, before=before, after=user.time_zone))


def set_attributes(*, user: User, attributes: Mapping[str, Any]) -> User:
    """Merge facts about a person, such as ``{"profile_completion": 80}``; None removes one."""
    return update_profile(user=user, changes={"attributes": attributes})


def merge_attributes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with ``new`` laid over it, without those that became None."""
    merged = {**old, **clean_attributes(new)}
    return clean_attributes({name: value for name, value in merged.items() if value is not None})


def set_names(user: User, *, first_name: str, last_name: str) -> None:
    """Set both names on ``user`` without saving; raises InvalidInput."""
    for field, value in (("first_name", first_name), ("last_name", last_name)):
        if len(value) > _NAME_LENGTH:
            raise InvalidInput(f"At most {_NAME_LENGTH} characters.", attr=field, code="max_length")
        if not value.isprintable():
            raise InvalidInput("Names are one line of text.", attr=field)
        setattr(user, field, value.strip())


def clean_email(email: str) -> str:
    """The address in lower case; raises InvalidInput."""
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise InvalidInput("This is not an e-mail address.", attr="email") from error
    if len(address) > 254:
        raise InvalidInput("At most 254 characters.", attr="email", code="max_length")
    return address


def clean_phone(phone: str) -> str:
    """The number in E.164 (``+12025550123``), empty for none; raises InvalidInput."""
    if not phone.strip():
        return ""
    try:
        parsed = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException as error:
        raise InvalidInput("Write the number with its country code: +12025550123.", attr="phone") from error
    if not phonenumbers.is_possible_number(parsed):
        raise InvalidInput("This number cannot exist.", attr="phone")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def clean_time_zone(name: str) -> str:
    """A name of the IANA time zone database; raises InvalidInput."""
    if name not in zoneinfo.available_timezones():
        raise InvalidInput("Unknown time zone; write a name such as Europe/Prague.", attr="time_zone")
    return name


def clean_locale(tag: str) -> str:
    """A language tag of at most 16 characters, such as ``en`` or ``pt-BR`` (BCP 47); raises InvalidInput."""
    parts = tag.replace("_", "-").split("-")
    if len(tag) > 16 or not 2 <= len(parts[0]) <= 3 or not all(p.isascii() and p.isalnum() for p in parts):
        raise InvalidInput("Write a language tag such as en or pt-BR.", attr="locale")
    return "-".join(parts)


def clean_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Free facts about a person: names of at most 100 characters, at most 200 of them."""
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidInput(f"At most {MAX_ATTRIBUTES} attributes.", attr="attributes", code="max_length")
    for name in attributes:
        if not isinstance(name, str) or not 0 < len(name) <= 100:
            raise InvalidInput("Attribute names have 1 to 100 characters.", attr="attributes")
    return dict(attributes)


def check_password_strength(password: str, user: User) -> None:
    """Raises InvalidInput when the password validators of the settings refuse it."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), attr="password", code="weak_password") from error
