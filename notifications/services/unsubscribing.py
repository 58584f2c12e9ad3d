"""Unsubscribing by the link in a mail, the way back, and the proof of both.

A user's category (or everything) is switched off for e-mail; a bare address, which has no switches, goes on the
suppression list. Each change is recorded as a ``ProviderEvent`` of the mail whose link was used: when, how, from what,
and what the switches were before, which is what the way back restores.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from accounts.models import Organization, User
from castcomm.common import sql
from castcomm.common.clock import now as current_time
from notifications.models import Category, ConsentSource, Delivery, Preference, ProviderEvent, Suppression
from notifications.services.consents import Decided, Origin, RequestFacts, record_all
from notifications.services.mail_links import MailLink
from notifications.services.preferences import Change, set_switches
from notifications.services.recipients import address_index
from notifications.services.routing import Switch, deciding_switch
from notifications.services.suppressions import lift_unsubscription, suppress_address
from notifications.vocabulary import Channel, ReceiptKind, SuppressionReason

log = structlog.get_logger(__name__)

PROVIDER = "castcomm"
MAX_CHANGES = 50  # recorded per mail; nobody changes their mind more often
_EMAIL = Channel.EMAIL.value
_ONE_CLICK_WORDING = "List-Unsubscribe=One-Click"
_UNDO_WORDING = "That was a mistake"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class Scope(enum.StrEnum):
    """What is to stop."""

    CATEGORY = "category"
    ALL = "all"


class How(enum.StrEnum):
    """Whether the mail program asked (RFC 8058) or the person on the page."""

    ONE_CLICK = "one-click"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who gets what from whom. ``user`` is None for a bare address; ``category`` when there is nothing to choose:
    for a bare address, and when the category is gone."""

    link: MailLink
    organization: Organization
    category: Category | None
    user: User | None

    @property
    def scope(self) -> Scope:
        """What one click stops."""
        return Scope.CATEGORY if self.category is not None else Scope.ALL


@dataclass(frozen=True, slots=True)
class Stopped:
    """Whether e-mail is off for the category and for everything, and whether this mail's link can undo something."""

    category: bool
    all: bool
    can_undo: bool


def subscription_of(link: MailLink) -> Subscription | None:
    """What the link is about, or None when the organization or the user is gone.

    An inactive organization or person counts as well: what is said now holds when they come back.
    """
    organization = Organization.objects.filter(id=link.organization_id).first()
    if organization is None:
        return None
    if link.user_id is None:
        return Subscription(link, organization, None, None)
    user = User.objects.filter(id=link.user_id).first()
    category = Category.objects.for_organization(organization).filter(id=link.category_id).first()
    return Subscription(link, organization, category, user) if user is not None else None


def what_is_stopped(subscription: Subscription) -> Stopped:
    """How things stand now."""
    can_undo = _last_change(subscription) is not None
    if subscription.user is None:
        there = _suppressions(subscription).exists()
        return Stopped(there, there, can_undo)
    rows = _switches(subscription)
    everything = _is_off([row for row in rows if row.scope == "global"])
    if subscription.category is None:
        return Stopped(everything, everything, can_undo)
    theirs = [
        row for row in rows if row.category_id in (None, subscription.category.id) and not row.event_type_id
    ]
    more = any(row.enabled for row in rows if _is_in(row, subscription.category) and row.user_id)
    return Stopped(_is_off(theirs) and not more, everything, can_undo)


def unsubscribe(
    *, subscription: Subscription, scope: Scope, how: How, facts: RequestFacts | None = None
) -> bool:
    """Stop the e-mail; returns whether anything had to be changed. Safe to call again and from two places at once.

    Switches of the person that are more specific, and on, are switched off too: what was unsubscribed from must
    not come any more. Critical mail is not affected. ``facts`` of the request go on record.
    """
    wording = _ONE_CLICK_WORDING
    if how == How.PAGE:
        wording = _button_of(subscription, scope)
    origin = _origin(subscription, how, wording, facts)
    with transaction.atomic():
        _wait_for_turn(subscription)
        if subscription.user is None:
            before = _stop_address(subscription, how, origin)
        else:
            before = _stop_switches(subscription, subscription.user, scope, origin)
        if before is None:
            return False
        _record(subscription, scope, how, before)
    log.info(
        "unsubscribed",
        organization_id=str(subscription.organization.id),
        delivery_id=str(subscription.link.delivery_id),
        scope=scope.value,
        how=how.value,
    )
    return True


def undo_unsubscribe(*, subscription: Subscription, facts: RequestFacts | None = None) -> bool:
    """Take back the last change made through this mail's link; what was changed since by other means stays."""
    origin = _origin(subscription, How.PAGE, _UNDO_WORDING, facts)
    with transaction.atomic():
        _wait_for_turn(subscription)
        event = _last_change(subscription)
        if event is None:
            return False
        if subscription.user is None:
            lift_unsubscription(
                organization_id=subscription.organization.id, channel=_EMAIL, address=subscription.link.email
            )
            _put_on_record(subscription, None, origin)
        else:
            _restore(subscription, subscription.user, event.payload["before"], origin)
        event.payload = {**event.payload, "undone_at": current_time().isoformat()}
        event.save(update_fields=["payload"])
    log.info(
        "unsubscribed.undone",
        organization_id=str(subscription.organization.id),
        delivery_id=str(subscription.link.delivery_id),
    )
    return True


def _origin(subscription: Subscription, how: How, wording: str, facts: RequestFacts | None) -> Origin:
    source = ConsentSource.ONE_CLICK if how == How.ONE_CLICK else ConsentSource.SIGNED_LINK
    return Origin(
        source=source.value,
        facts=facts or RequestFacts(),
        wording=wording,
        delivery_id=subscription.link.delivery_id,
    )


def _button_of(subscription: Subscription, scope: Scope) -> str:
    if scope == Scope.CATEGORY and subscription.category is not None:
        return f"Unsubscribe from {subscription.category.name}"
    return f"Stop all mail of {subscription.organization.name}"


def _put_on_record(subscription: Subscription, granted: bool | None, origin: Origin) -> None:
    """What a bare address decided; the switches of people are put on record where they are set."""
    decided = Decided(scope="global", key="", channel=_EMAIL, granted=granted, wording=origin.wording)
    record_all(
        organization_id=subscription.organization.id,
        address_index=address_index(subscription.link.email, ""),
        decided=[decided],
        origin=origin,
    )


def _wait_for_turn(subscription: Subscription) -> None:
    who = subscription.link.user_id or address_index(subscription.link.email, "")
    sql.run(_ONE_AT_A_TIME, (f"unsubscribe:{subscription.organization.id}:{who}",))


def _suppressions(subscription: Subscription) -> Any:
    return Suppression.objects.for_organization(subscription.organization).filter(
        Q(expires_at=None) | Q(expires_at__gt=current_time()),
        channel=_EMAIL,
        address_index=address_index(subscription.link.email, ""),
    )


def _stop_address(subscription: Subscription, how: How, origin: Origin) -> list[list[Any]] | None:
    reasons = set(_suppressions(subscription).filter(expires_at=None).values_list("reason", flat=True))
    # There for a stronger reason, it stays so; that the person unsubscribed as well is put on record once.
    if SuppressionReason.UNSUBSCRIBE in reasons or (reasons and _last_change(subscription) is not None):
        return None
    suppress_address(
        organization=subscription.organization,
        channel=_EMAIL,
        address=subscription.link.email,
        reason=SuppressionReason.UNSUBSCRIBE,
        detail=f"{how.value}, delivery {subscription.link.delivery_id}",
    )
    _put_on_record(subscription, False, origin)
    return []


def _switches(subscription: Subscription) -> list[Preference]:
    """The person's and the organization's switches that concern e-mail."""
    rows = Preference.objects.for_organization(subscription.organization).filter(
        Q(user=subscription.user) | Q(user=None), channel__in=["", _EMAIL]
    )
    return list(rows.select_related("category", "event_type"))


def _is_off(rows: Sequence[Preference]) -> bool:
    switches = [Switch(row.scope, row.channel, row.enabled, row.user_id is not None) for row in rows]
    deciding = deciding_switch(switches, _EMAIL)
    return deciding is not None and not deciding.enabled


def _is_in(row: Preference, category: Category) -> bool:
    """Whether the switch is one of a kind of news in the category that can be turned off."""
    kind = row.event_type
    return kind is not None and kind.category_id == category.id and not kind.is_critical


def _stop_switches(
    subscription: Subscription, user: User, scope: Scope, origin: Origin
) -> list[list[Any]] | None:
    """Set the switches; what they were before, or None when all were off already."""
    category = subscription.category
    own = [row for row in _switches(subscription) if row.user_id is not None]
    if scope == Scope.CATEGORY and category is not None:
        targets = [("category", category.key)]
        on = [row for row in own if row.enabled and _is_in(row, category)]
    else:
        targets = [("global", "")]
        on = [row for row in own if row.enabled and row.scope != "global" and not _is_critical(row)]
    targets += sorted({(row.scope, _key(row)) for row in on})
    known = {(row.scope, _key(row)): row.enabled for row in own if row.channel == _EMAIL}
    targets = [target for target in targets if known.get(target) is not False]
    if not targets:
        return None
    changes = [Change(kind, key, _EMAIL, False) for kind, key in targets]
    set_switches(organization=subscription.organization, user=user, changes=changes, origin=origin)
    return [[*target, known.get(target)] for target in targets]


def _is_critical(row: Preference) -> bool:
    return row.event_type is not None and row.event_type.is_critical


def _key(row: Preference) -> str:
    named = row.category or row.event_type
    return named.key if named is not None else ""


def _restore(subscription: Subscription, user: User, before: list[list[Any]], origin: Origin) -> None:
    own = {
        (row.scope, _key(row)): row.enabled
        for row in _switches(subscription)
        if row.user_id is not None and row.channel == _EMAIL
    }
    changes = [
        Change(kind, key, _EMAIL, enabled) for kind, key, enabled in before if own.get((kind, key)) is False
    ]
    set_switches(organization=subscription.organization, user=user, changes=changes, origin=origin)


def _event_keys(subscription: Subscription) -> list[str]:
    # Named one by one, so that they are found by the unique index, and when the delivery has been cleared away too.
    return [f"unsubscribe:{subscription.link.delivery_id}:{n}" for n in range(1, MAX_CHANGES + 1)]


def _changes_of(subscription: Subscription) -> list[ProviderEvent]:
    found = ProviderEvent.objects.filter(provider=PROVIDER, event_key__in=_event_keys(subscription))
    return sorted(found, key=lambda event: int(event.event_key.rsplit(":", 1)[1]))


def _last_change(subscription: Subscription) -> ProviderEvent | None:
    standing = [event for event in _changes_of(subscription) if "undone_at" not in event.payload]
    return standing[-1] if standing else None


def _record(subscription: Subscription, scope: Scope, how: How, before: list[list[Any]]) -> None:
    made = len(_changes_of(subscription))
    if made >= MAX_CHANGES:
        return
    link = subscription.link
    email = subscription.user.email if subscription.user is not None else link.email
    there = Delivery.objects.for_organization(subscription.organization).filter(id=link.delivery_id).exists()
    name = subscription.category.name if scope == Scope.CATEGORY and subscription.category else "everything"
    now: dt.datetime = current_time()
    ProviderEvent.objects.create(
        organization=subscription.organization,
        delivery_id=link.delivery_id if there else None,
        provider=PROVIDER,
        event_key=f"unsubscribe:{link.delivery_id}:{made + 1}",
        kind=ReceiptKind.UNSUBSCRIBED,
        recipient_index=address_index(email, ""),
        occurred_at=now,
        detail=f"Unsubscribed from {name} ({how.value}).",
        payload={"scope": scope.value, "how": how.value, "before": before},
    )
