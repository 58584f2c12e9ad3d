"""``threads``: the person's conversations, one of them, its read mark and its changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.api.pagination import CursorPagination
from castcomm.common.errors import InvalidInput
from messaging.api import schema
from messaging.api.access import (
    ConversationView,
    body_of,
    flag_in_query,
    limit_in_query,
    path_id,
    seq_in_query,
)
from messaging.models import Kind, Thread
from messaging.presentation import thread_json
from messaging.selectors import (
    MAX_REPLAY,
    changes_since,
    get_place,
    get_thread,
    listed_threads,
)
from messaging.services.participants import set_archived, set_muted
from messaging.services.reading import mark_read
from messaging.services.threads import create_thread, update_thread
from messaging.services.validation import check_seq


class ThreadPagination(CursorPagination):
    """Most recently active first."""

    ordering = ("-active_at", "-id")


class ThreadsView(ConversationView):
    """The person's threads, and a new one."""

    @extend_schema(operation_id="threads_list", parameters=schema.THREAD_FILTERS, responses=schema.ThreadPage)
    def get(self, request: Request) -> Response:
        """The threads the caller is in, most recently active first."""
        archived = flag_in_query(request, "archived")
        threads = listed_threads(self.user_id, self.organization.id, archived=archived)
        kind = request.query_params.get("kind")
        if kind is not None:
            if kind not in Kind.values:
                raise InvalidInput(f"kind must be one of {', '.join(Kind.values)}.", attr="kind")
            threads = threads.filter(kind=kind)
        pagination = ThreadPagination()
        page: list[Thread] = pagination.paginate_queryset(threads, request, view=self) or []
        return pagination.get_paginated_response([self._json(thread) for thread in page])

    @extend_schema(request=schema.NewThread, responses={200: schema.Thread, 201: schema.Thread})
    def post(self, request: Request) -> Response:
        """Open a thread. 200 when two people have their direct thread already."""
        body = body_of(request, "kind", "participants", "subject", "metadata")
        kind = body.get("kind", Kind.DIRECT)
        if not isinstance(kind, str):
            raise InvalidInput("kind must be a string.", attr="kind", code="wrong_type")

        def act() -> Response:
            thread, created = create_thread(
                organization_id=self.organization.id,
                creator_id=self.user_id,
                kind=kind,
                participants=body.get("participants", []),
                subject=body.get("subject", ""),
                metadata=body.get("metadata"),
            )
            shown = get_thread(self.user_id, self.organization.id, thread.id)
            return Response(self._json(shown), status=201 if created else 200)

        return self.run_once(act)

    def _json(self, thread: Thread) -> dict[str, Any]:
        return thread_json(thread, thread.present, user_id=self.user_id)  # type: ignore[attr-defined]


class ThreadView(ConversationView):
    """One thread."""

    @extend_schema(responses=schema.Thread)
    def get(self, request: Request, thread_id: str) -> Response:
        """The thread, its participants and how much of it is unread."""
        return self._answer(thread_id)

    @extend_schema(request=schema.ThreadChange, responses=schema.Thread)
    def patch(self, request: Request, thread_id: str) -> Response:
        """Change subject or metadata."""
        body = body_of(request, "subject", "metadata")
        update_thread(**self.place(thread_id), subject=body.get("subject"), metadata=body.get("metadata"))
        return self._answer(thread_id)

    def _answer(self, thread_id: str) -> Response:
        thread = get_thread(self.user_id, self.organization.id, path_id(thread_id))
        present = thread.present  # type: ignore[attr-defined]
        return Response(thread_json(thread, present, user_id=self.user_id))


class ThreadStateView(ConversationView):
    """What a thread is to the caller alone."""

    @extend_schema(operation_id="threads_change_state", request=None, responses={204: None})
    def post(self, request: Request, thread_id: str, change: str) -> Response:
        """archive, unarchive, mute or unmute; the others notice nothing."""
        changes: dict[str, Callable[..., None]] = {
            "archive": partial(set_archived, archived=True),
            "unarchive": partial(set_archived, archived=False),
            "mute": partial(set_muted, muted=True),
            "unmute": partial(set_muted, muted=False),
        }
        changes[change](**self.place(thread_id))
        return Response(status=204)


class ThreadReadView(ConversationView):
    """The caller's read mark."""

    @extend_schema(request=schema.ReadUpTo, responses=schema.ReadMark)
    def post(self, request: Request, thread_id: str) -> Response:
        """Everything up to ``seq`` is read; without it, everything there is now."""
        body = body_of(request, "seq")
        place = self.place(thread_id)
        seq = body.get("seq")
        if seq is None:
            seq = get_place(self.user_id, self.organization.id, place["thread_id"]).thread.seq
        mark = mark_read(**place, seq=check_seq(seq))
        return Response(
            {
                "last_read_seq": mark.last_read_seq,
                "seen_count": mark.seen_count,
                "unread_count": mark.unread_count,
            }
        )


class ThreadEventsView(ConversationView):
    """What happened in a thread."""

    @extend_schema(
        operation_id="threads_events_list", parameters=schema.EVENT_FILTERS, responses=schema.EventPage
    )
    def get(self, request: Request, thread_id: str) -> Response:
        """The durable changes after ``since_seq``, in order, as the frames a socket gets.

        While ``more`` is true, ask again with the seq of the last one. The last page ends with the
        read marks.
        """
        limit = limit_in_query(request, default=MAX_REPLAY, most=MAX_REPLAY)
        place = get_place(self.user_id, self.organization.id, path_id(thread_id))
        changes = changes_since(place, seq_in_query(request, "since_seq") or 0, limit=limit)
        return Response({"events": changes.frames, "head": changes.head, "more": changes.more})
