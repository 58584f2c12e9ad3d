"""The caller's inbox."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput, NotPermitted
from notifications import selectors
from notifications.api import serializers
from notifications.models import Notification
from notifications.services import inbox

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
    for name in ("read", "seen", "archived"):
        flag = _flag(request, name)
        if flag is not None:
            rows = rows.filter(**{f"{name}_at__isnull": not flag})
    if _flag(request, "archived") is None:
        rows = rows.filter(archived_at=None)
    snoozed = _flag(request, "snoozed")
    if snoozed is True:
        rows = rows.filter(snoozed_until__gt=now())
    elif snoozed is None or snoozed is False:
        rows = rows.exclude(snoozed_until__gt=now())
    if category := request.query_params.get("category"):
        rows = rows.filter(event_type__category__key=category)
    return rows


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

    @extend_schema(responses=serializers.InboxRow(many=True))
    def get(self, request: Request) -> Response:
        rows = selectors.inbox_rows(self.organization.id, person(self).id).filter(
            read_at=None, archived_at=None
        )
        return _page(self, request, rows)


class HistoryView(TenantAPIView):
    """Everything that is or was in the inbox, archived rows too."""

    permission_classes = [IsMember]

    @extend_schema(responses=serializers.InboxRow(many=True))
    def get(self, request: Request) -> Response:
        return _page(self, request, selectors.inbox_rows(self.organization.id, person(self).id))


def _page(view: TenantAPIView, request: Request, rows: QuerySet[Notification]) -> Response:
    pages = CursorPagination()
    page = pages.paginate_queryset(rows, request, view=view) or []
    return pages.get_paginated_response([selectors.row_json(row) for row in page])


class CountView(TenantAPIView):
    """How many are unread and unseen."""

    permission_classes = [IsMember]

    @extend_schema(responses=serializers.Counts)
    def get(self, request: Request) -> Response:
        return Response(selectors.inbox_counts(self.organization.id, person(self).id))


class ActView(TenantAPIView):
    """One act on one row: read, unread, seen, archive, unarchive."""

    permission_classes = [IsMember]
    act = "read"

    @extend_schema(request=None, responses=serializers.InboxRow)
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
