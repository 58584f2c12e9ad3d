"""The caller's inbox."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput, NotPermitted
from notifications import selectors
from notifications.api import inbox_serializers, serializers
from notifications.models import Notification
from notifications.services import inbox
from notifications.services.inbox_actions import mark_action

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def list_inbox(view: TenantAPIView, request: Request) -> Response:
    """A page of the inbox, newest first; with ``since_seq`` what changed after that number, oldest first."""
    user = person(view)
    if "since_seq" in request.query_params:
        return Response(_changes(view.organization.id, user.id, request.query_params["since_seq"]))
    rows = _filtered(selectors.inbox_rows(view.organization.id, user.id), request)
    pages = CursorPagination()
    page = pages.paginate_queryset(rows, request, view=view) or []
    return pages.get_paginated_response([selectors.row_json(row) for row in page])


def person(view: TenantAPIView) -> Any:
    """The signed-in person; an API key has no inbox."""
    if view.user is None:
        raise NotPermitted("An API key has no inbox.")
    return view.user


def _changes(organization_id: uuid.UUID, user_id: uuid.UUID, given: str) -> dict[str, Any]:
    if not given.isdecimal() or len(given) > 18:
        raise InvalidInput("A whole number.", attr="since_seq")
    rows, head, complete = selectors.inbox_changes(organization_id, user_id, int(given))
    return {"results": rows, "inbox_seq": head, "complete": complete}


def _filtered(rows: QuerySet[Notification], request: Request) -> QuerySet[Notification]:
    """Rows of the inbox unless the archive is asked for, and not those put aside unless they are asked for."""
    for name in ("read", "seen"):
        flag = _flag(request, name)
        if flag is not None:
            rows = rows.filter(**{f"{name}_at__isnull": not flag})
    archived = bool(_flag(request, "archived"))
    snoozed = _flag(request, "snoozed")
    if snoozed is None and not archived:
        snoozed = False
    return _narrowed(selectors.in_place(rows, archived=archived, snoozed=snoozed, now=now()), request)


def _narrowed(rows: QuerySet[Notification], request: Request) -> QuerySet[Notification]:
    asked = request.query_params
    return selectors.narrowed(rows, category=asked.get("category", ""), tag=asked.get("tag", ""))


def _flag(request: Request, name: str) -> bool | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    if given.lower() not in _FLAGS:
        raise InvalidInput("true or false.", attr=name)
    return _FLAGS[given.lower()]


class UnreadView(TenantAPIView):
    """Unread rows of the inbox."""

    permission_classes = [IsMember]

    @extend_schema(responses=inbox_serializers.InboxItem(many=True))
    def get(self, request: Request) -> Response:
        rows = selectors.inbox_rows(self.organization.id, person(self).id).filter(read_at=None)
        return _page(self, request, selectors.in_place(rows, archived=False, snoozed=False, now=now()))


class HistoryView(TenantAPIView):
    """Everything that is or was in the inbox, archived rows too."""

    permission_classes = [IsMember]

    @extend_schema(responses=inbox_serializers.InboxItem(many=True))
    def get(self, request: Request) -> Response:
        return _page(self, request, selectors.inbox_rows(self.organization.id, person(self).id))


def _page(view: TenantAPIView, request: Request, rows: QuerySet[Notification]) -> Response:
    pages = CursorPagination()
    page = pages.paginate_queryset(_narrowed(rows, request), request, view=view) or []
    return pages.get_paginated_response([selectors.row_json(row) for row in page])


class CountView(TenantAPIView):
    """How many are unread and unseen; ``?by=category,tag`` tells it for each of them too."""

    permission_classes = [IsMember]

    @extend_schema(parameters=[OpenApiParameter("by", str)], responses=inbox_serializers.InboxCounts)
    def get(self, request: Request) -> Response:
        mine = (self.organization.id, person(self).id)
        by = [name for name in request.query_params.get("by", "").split(",") if name]
        if any(name not in selectors.COUNTED_BY for name in by):
            raise InvalidInput(f"Any of {', '.join(selectors.COUNTED_BY)}.", attr="by")
        counts = selectors.inbox_counts(*mine)
        return Response(counts | {f"by_{name}": selectors.inbox_counts_by(*mine, name) for name in by})


class ActView(TenantAPIView):
    """One act on one row: read, unread, seen, archive, unarchive, unsnooze."""

    permission_classes = [IsMember]
    act = "read"

    @extend_schema(request=None, responses=inbox_serializers.InboxItem)
    def post(self, request: Request, notification_id: str) -> Response:
        row = inbox.mark_one(
            organization=self.organization,
            user=person(self),
            notification_id=uuid.UUID(notification_id),
            act=self.act,
        )
        return Response(row)


class MarkView(TenantAPIView):
    """One act on many rows."""

    permission_classes = [IsMember]
    act = "read"

    @extend_schema(request=serializers.MarkRequest, responses=serializers.Marked)
    def post(self, request: Request) -> Response:
        asked = serializers.MarkRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        ids = None if asked.validated_data["all"] else asked.validated_data["ids"]
        changed = inbox.mark_many(organization=self.organization, user=person(self), act=self.act, ids=ids)
        return Response({"changed": changed})


class MarkAnyView(TenantAPIView):
    """Any act on many rows: by their ids, or all of a category or with a tag."""

    permission_classes = [IsMember]

    @extend_schema(request=inbox_serializers.ActRequest, responses=serializers.Marked)
    def post(self, request: Request) -> Response:
        asked = inbox_serializers.ActRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        if given.pop("all"):
            given["ids"] = None
        changed = inbox.mark_many(organization=self.organization, user=person(self), **given)
        return Response({"changed": changed})


class SnoozeView(TenantAPIView):
    """Put one row aside until a moment."""

    permission_classes = [IsMember]

    @extend_schema(request=inbox_serializers.SnoozeRequest, responses=inbox_serializers.InboxItem)
    def post(self, request: Request, notification_id: str) -> Response:
        asked = inbox_serializers.SnoozeRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        row = inbox.snooze_one(
            organization=self.organization,
            user=person(self),
            notification_id=uuid.UUID(notification_id),
            **asked.validated_data,
        )
        return Response(row)


class ActionView(TenantAPIView):
    """Note that a button of a row was used, or take that back."""

    permission_classes = [IsMember]
    done = True

    @extend_schema(request=None, responses=inbox_serializers.InboxItem)
    def post(self, request: Request, notification_id: str, key: str) -> Response:
        row = mark_action(
            organization=self.organization,
            user=person(self),
            notification_id=uuid.UUID(notification_id),
            key=key,
            done=self.done,
        )
        return Response(row)
