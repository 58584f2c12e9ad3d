"""Recipient lists and who is on them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import Count
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.api.pagination import CursorPagination
from castcomm.common.api.parsers import CSVParser
from notifications.api import audience_serializers as shapes
from notifications.api.keyed_views import KeyedCollection, KeyedOne, WithList, checked
from notifications.api.suppression_views import ImportAnswer, answer_of
from notifications.models import RecipientList
from notifications.services.audiences.lists import add_members, import_members, remove_members
from notifications.services.suppression_import import bounded, read_csv


class ListsView(KeyedCollection):
    """All lists, and one more."""

    model = RecipientList
    row_serializer = shapes.ListRow
    write_serializer = shapes.ListWrite

    def rows(self) -> Any:
        return super().rows().annotate(member_count=Count("members"))

    @extend_schema(responses=shapes.ListRow(many=True))
    def get(self, request: Request) -> Response:
        return super().get(request)

    @extend_schema(request=shapes.ListWrite, responses={201: shapes.ListRow})
    def post(self, request: Request) -> Response:
        return super().post(request)


class ListView(KeyedOne):
    """One list. Its key stays; deleting it deletes its entries."""

    model = RecipientList
    row_serializer = shapes.ListRow
    change_serializer = shapes.ListChange

    @extend_schema(responses=shapes.ListRow)
    def get(self, request: Request, key: str) -> Response:
        return super().get(request, key)

    @extend_schema(request=shapes.ListChange, responses=shapes.ListRow)
    def patch(self, request: Request, key: str) -> Response:
        return super().patch(request, key)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        return super().delete(request, key)


class MembersView(WithList):
    """The entries of a list, newest first; up to 10,000 entered or taken off in one call."""

    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    @extend_schema(responses=shapes.MemberRow(many=True))
    def get(self, request: Request, key: str) -> Response:
        rows = self.recipient_list(key).members.select_related("user")
        pages = CursorPagination()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(shapes.MemberRow(page, many=True).data)

    @extend_schema(request=shapes.Entries, responses=shapes.Changed)
    def post(self, request: Request, key: str) -> Response:
        return self.run_once(lambda: self._change(request, key, add_members))

    @extend_schema(request=shapes.Entries, responses=shapes.Changed)
    def delete(self, request: Request, key: str) -> Response:
        return self._change(request, key, remove_members)

    def _change(self, request: Request, key: str, act: Callable[..., int]) -> Response:
        found = self.recipient_list(key)
        entries = checked(shapes.Entries, request)["members"]
        return Response({"changed": act(recipient_list=found, entries=entries)})


class ListImportView(WithList):
    """Up to 10,000 addresses as CSV (``text/csv``) with a column ``address``."""

    parser_classes = [CSVParser]

    @extend_schema(request={"text/csv": OpenApiTypes.STR}, responses=ImportAnswer)
    def post(self, request: Request, key: str) -> Response:
        return self.run_once(lambda: self._import(request, key))

    def _import(self, request: Request, key: str) -> Response:
        found = self.recipient_list(key)
        content: Any = request.data
        rows = bounded(read_csv(io.BytesIO(content)))
        return Response(answer_of(import_members(recipient_list=found, rows=rows)))
