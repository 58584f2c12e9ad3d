"""Topics, and who is subscribed to them. Every subscription and its end is put on record as a consent."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Organization, User
from castcomm.common.errors import NotPermitted
from notifications.models import ConsentSource, Topic, TopicSubscription
from notifications.services import consents
from notifications.services.audiences.people import parse_people, resolve_members
from notifications.services.consents import RequestFacts

MAX_SUBSCRIBERS = 1_000  # in one call: each leaves a record


@dataclass(frozen=True, slots=True, kw_only=True)
class Doer:
    """Who subscribes somebody, and how: what the record of consent says."""

    source: str
    user_id: uuid.UUID | None = None
    facts: RequestFacts | None = None
    delivery_id: uuid.UUID | None = None  # the mail whose link was used


def subscribe(*, topic: Topic, user: User, doer: Doer) -> bool:
    """Subscribe a member; False when they were subscribed. By themselves they join open topics only (NotPermitted)."""
    with transaction.atomic():
        if _is_own(user, doer) and not topic.is_open:
            raise NotPermitted("Only the organization subscribes people to this topic.", code="topic_closed")
        _, is_new = TopicSubscription.objects.get_or_create(
            topic=topic, user=user, defaults={"source": doer.source}
        )
        if is_new:
            _put_on_record(topic, user.id, granted=True, doer=doer)
    return is_new


def unsubscribe(*, topic: Topic, user: User, doer: Doer) -> bool:
    """End a subscription; False when there was none. People may leave a closed topic, too: nobody is kept in one."""
    with transaction.atomic():
        removed, _ = TopicSubscription.objects.filter(topic=topic, user=user).delete()
        if removed:
            _put_on_record(topic, user.id, granted=False, doer=doer)
    return bool(removed)


def subscribe_many(*, topic: Topic, people: Sequence[Any], doer: Doer) -> int:
    """Subscribe members, named by id or e-mail address; returns how many were not yet. All of them or none.

    Raises InvalidInput that names the position of the first who is no member.
    """
    with transaction.atomic():
        ids = _members(topic, people)
        known = set(_subscribed(topic, ids))
        new = [user_id for user_id in ids if user_id not in known]
        TopicSubscription.objects.bulk_create(
            (TopicSubscription(topic=topic, user_id=user_id, source=doer.source) for user_id in new),
            ignore_conflicts=True,
        )
        for user_id in new:
            _put_on_record(topic, user_id, granted=True, doer=doer)
    return len(new)


def unsubscribe_many(*, topic: Topic, people: Sequence[Any], doer: Doer) -> int:
    """End the subscriptions of members, named by id or e-mail address; returns how many there were."""
    with transaction.atomic():
        ids = list(_subscribed(topic, _members(topic, people)))
        TopicSubscription.objects.filter(topic=topic, user_id__in=ids).delete()
        for user_id in ids:
            _put_on_record(topic, user_id, granted=False, doer=doer)
    return len(ids)


def topics_for(organization: Organization, user: User, *, see_all: bool = False) -> list[tuple[Topic, bool]]:
    """The topics that a person sees, and whether they are subscribed: the open ones, and those they are in."""
    mine = set(
        TopicSubscription.objects.filter(topic__organization=organization, user=user).values_list(
            "topic_id", flat=True
        )
    )
    rows = Topic.objects.for_organization(organization).order_by("name", "key")
    return [(topic, topic.id in mine) for topic in rows if see_all or topic.is_open or topic.id in mine]


def _is_own(user: User, doer: Doer) -> bool:
    return doer.source in (ConsentSource.SIGNED_IN, ConsentSource.SIGNED_LINK) and doer.user_id in (
        None,
        user.id,
    )


def _subscribed(topic: Topic, ids: Sequence[uuid.UUID]) -> QuerySet[TopicSubscription, uuid.UUID]:
    rows = TopicSubscription.objects.filter(topic=topic, user_id__in=ids)
    return rows.order_by("user_id").values_list("user_id", flat=True)


def _members(topic: Topic, people: Sequence[Any]) -> list[uuid.UUID]:
    """The ids of these members, each once, in their order; raises InvalidInput that names a position."""
    references = parse_people(people, attr="people", most=MAX_SUBSCRIBERS)
    return sorted(resolve_members(topic.organization_id, references, attr="people"))


def _put_on_record(topic: Topic, user_id: uuid.UUID, *, granted: bool, doer: Doer) -> None:
    by_other = doer.user_id if doer.user_id != user_id else None
    consents.record(
        organization_id=topic.organization_id,
        user_id=user_id,
        scope="topic",
        key=topic.key,
        channel="",
        granted=granted,
        source=doer.source,
        wording=f"{topic.name}: {topic.description}" if topic.description else topic.name,
        request_facts=doer.facts,
        delivery_id=doer.delivery_id,
        actor_id=by_other,
    )
