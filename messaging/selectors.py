"""Questions about conversations. Nothing here writes.

Every function asks on behalf of one person in one organization; a thread they are not in does not exist
for them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from castcomm.common.errors import NotFound
from messaging.models import Kind, Message, Participant, Thread, ThreadEvent
from messaging.presentation import Frame, created_frame, event_frame, read_frame

MAX_REPLAY = 300  # changes; who misses more pages over REST
MAX_HEADS = 200  # threads in a greeting, the most recently active


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Durable changes in order, and the marks.

    ``head`` is the newest seq; ``more`` when the frames do not reach it.
    """

    frames: list[Frame]
    head: int
    more: bool


def threads_of(user_id: uuid.UUID, organization_id: uuid.UUID) -> QuerySet[Thread]:
    """The threads this person is in, with what ``thread_json`` needs (``present``: the participants).

    Three queries however many threads there are. A room brings only the person's own participant.
    """
    shown = Q(user=user_id) | ~Q(thread__kind=Kind.ROOM)
    present = Participant.objects.filter(shown, left_at=None).select_related("user")
    count = (
        Participant.objects.filter(thread=OuterRef("pk"), left_at=None)
        .order_by()
        .values("thread")
        .annotate(count=Count("*"))
        .values("count")
    )
    threads: QuerySet[Thread] = (
        Thread.objects.for_organization(organization_id)
        .filter(participants__user=user_id, participants__left_at=None)
        .select_related("last_message__sender")
        .prefetch_related(Prefetch("participants", queryset=present, to_attr="present"))
        .annotate(participant_count=Coalesce(Subquery(count), 0))
    )
    return threads


def listed_threads(user_id: uuid.UUID, organization_id: uuid.UUID, *, archived: bool) -> QuerySet[Thread]:
    """``threads_of`` without, or only, those that the person has put away."""
    away = Q(participants__archived_at__isnull=False) & (
        Q(participants__is_muted=True) | Q(participants__archived_at__gte=F("active_at"))
    )
    own = Participant.objects.filter(user=user_id, left_at=None)
    put_away = Thread.objects.filter(away, participants__in=own).values("id")
    threads = threads_of(user_id, organization_id)
    return threads.filter(id__in=put_away) if archived else threads.exclude(id__in=put_away)


def get_thread(user_id: uuid.UUID, organization_id: uuid.UUID, thread_id: uuid.UUID) -> Thread:
    """One thread with what ``thread_json`` needs; raises NotFound."""
    thread = threads_of(user_id, organization_id).filter(id=thread_id).first()
    if thread is None:
        raise NotFound("There is no such thread.")
    return thread


def get_place(user_id: uuid.UUID, organization_id: uuid.UUID, thread_id: uuid.UUID) -> Participant:
    """The person's participant in this thread, with the thread; raises NotFound. One query."""
    participant: Participant | None = (
        Participant.objects.filter(user=user_id, thread=thread_id, organization=organization_id, left_at=None)
        .select_related("thread")
        .first()
    )
    if participant is None:
        raise NotFound("There is no such thread.")
    return participant


def get_message(user_id: uuid.UUID, organization_id: uuid.UUID, message_id: uuid.UUID) -> Message:
    """One message of a thread the person is in; raises NotFound."""
    message: Message | None = (
        Message.objects.for_organization(organization_id)
        .filter(id=message_id, thread__participants__user=user_id, thread__participants__left_at=None)
        .select_related("sender")
        .first()
    )
    if message is None:
        raise NotFound("There is no such message.")
    return message


def messages_page(
    thread_id: uuid.UUID, *, before: int | None = None, after: int | None = None, limit: int
) -> tuple[list[Message], bool]:
    """At most ``limit`` messages, newest first, and whether there are more in the direction asked for.

    ``before`` and ``after`` are sequence numbers, both exclusive. With ``after`` the page is the one that
    follows it, otherwise the newest one (before ``before``).
    """
    messages = Message.objects.filter(thread=thread_id).select_related("sender")
    if before is not None:
        messages = messages.filter(seq__lt=before)
    if after is not None:
        found = list(messages.filter(seq__gt=after).order_by("seq")[: limit + 1])
        return found[:limit][::-1], len(found) > limit
    found = list(messages.order_by("-seq")[: limit + 1])
    return found[:limit], len(found) > limit


def changes_since(place: Participant, since_seq: int, *, limit: int = MAX_REPLAY) -> Changes:
    """The next ``limit`` durable changes after ``since_seq``, each exactly once, in order, as frames.

    Messages in them are as they are now, so a replica that applies the frames ends up like the thread. When
    nothing is left after them, the read marks follow. Three queries.
    """
    head = place.thread.seq
    last = min(head, since_seq + limit)
    # Numbers are gapless and the head was read first: everything up to it is visible now.
    window = {"thread": place.thread_id, "seq__gt": since_seq, "seq__lte": last}
    frames = [created_frame(message) for message in Message.objects.filter(**window).select_related("sender")]
    changes = ThreadEvent.objects.filter(**window).select_related("message__sender", "user", "actor")
    frames += [event_frame(change, place.thread) for change in changes]
    frames.sort(key=lambda frame: int(frame["seq"]))
    more = last < head
    if not more:
        frames += _marks(place)
    return Changes(frames=frames, head=head, more=more)


def thread_heads(user_id: uuid.UUID, organization_id: uuid.UUID) -> dict[str, int]:
    """The newest seq of the person's most recently active threads. One query."""
    heads = (
        Thread.objects.for_organization(organization_id)
        .filter(participants__user=user_id, participants__left_at=None)
        .order_by("-active_at", "-id")
        .values_list("id", "seq")[:MAX_HEADS]
    )
    return {str(thread_id): seq for thread_id, seq in heads}


def participants_of(place: Participant) -> QuerySet[Participant]:
    """Who is in the thread now, first come first."""
    return (
        Participant.objects.filter(thread=place.thread_id, left_at=None)
        .select_related("user")
        .order_by("joined_at", "id")
    )


def _marks(place: Participant) -> list[Frame]:
    marks: Any = Participant.objects.filter(thread=place.thread_id, left_at=None)
    if place.thread.kind == Kind.ROOM:
        marks = marks.filter(user=place.user_id)
    return [
        read_frame(place.thread_id, user_id, seq)
        for user_id, seq in marks.order_by("id").values_list("user_id", "last_read_seq")
    ]
