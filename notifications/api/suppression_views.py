"""The suppression list: addresses to which nothing is sent any more."""

from __future__ import annotations

import dataclasses
import io
import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, IsStaffMember, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from castcomm.common.api.parsers import CSVParser, JSONParser
from castcomm.common.api.serializers import StrictSerializer
from castcomm.common.errors import InvalidInput, NotFound
from notifications.api.sending_views import IDEMPOTENCY
from notifications.models import Suppression
from notifications.services.suppression_import import (
    MAX_ROWS,
    ImportReport,
    Row,
    bounded,
    import_suppressions,
    read_csv,
)
from notifications.services.suppressions import (
    SUPPRESSIBLE,
    check_address,
    lift_suppression,
    suppress_address,
)
from notifications.vocabulary import Channel, SuppressionReason

_CHANNELS = [(one.value, one.label) for one in SUPPRESSIBLE]


class SuppressionRow(serializers.ModelSerializer[Suppression]):
    class Meta:
        model = Suppression
        fields = ("id", "channel", "address", "reason", "detail", "expires_at", "created_at")


class SuppressionWrite(StrictSerializer):
    """``channel`` follows from the address unless it is given."""

    channel = serializers.ChoiceField(_CHANNELS, required=False)
    address = serializers.CharField(max_length=254)
    reason = serializers.ChoiceField(SuppressionReason.choices, required=False)
    detail = serializers.CharField(max_length=1000, required=False, allow_blank=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class SuppressionAdded(SuppressionRow):
    """The entry as it is now. ``kept`` names the fields in which it is not what was asked for, because the address was
    on the list for a stronger reason or with a later end, or none: adding an address never takes it off sooner."""

    kept = serializers.ListField(child=serializers.ChoiceField(["reason", "detail", "expires_at"]))

    class Meta(SuppressionRow.Meta):
        fields = (*SuppressionRow.Meta.fields, "kept")  # type: ignore[assignment]


class SuppressionImport(StrictSerializer):
    rows = serializers.ListField(child=serializers.DictField(), allow_empty=False)
    all_or_nothing = serializers.BooleanField(required=False, default=False)


class RowErrorSerializer(serializers.Serializer[Any]):
    """``row`` is the line in the CSV (from 1), or the position in ``rows`` (from 0)."""

    row = serializers.IntegerField()
    attr = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ImportAnswer(serializers.Serializer[Any]):
    """What was taken. At most a hundred errors are told one by one; ``refused`` counts them all. ``kept`` counts the
    addresses that keep a stronger reason or a later end than was given."""

    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    kept = serializers.IntegerField()
    refused = serializers.IntegerField()
    errors = RowErrorSerializer(many=True)  # type: ignore[assignment]


class _NewestFirst(CursorPagination):
    """By id, which grows with time: rows of one import have the same moment."""

    ordering = ("-id", "-created_at")


class SuppressionsView(TenantAPIView):
    """The list, and one more address for it."""

    def get_permissions(self) -> list[Any]:
        scope = "notifications:send" if self.request.method == "POST" else "notifications:read"
        return [HasScope(scope)()]

    @extend_schema(
        parameters=[
            OpenApiParameter("channel", str, enum=[value for value, _ in _CHANNELS]),
            OpenApiParameter("reason", str, enum=SuppressionReason.values),
            OpenApiParameter("address", str, description="A whole address: they are stored encrypted."),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses=SuppressionRow(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = _filtered(Suppression.objects.for_organization(self.organization), request)
        pages = _NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(SuppressionRow(page, many=True).data)

    @extend_schema(request=SuppressionWrite, responses={201: SuppressionAdded}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._add(request))

    def _add(self, request: Request) -> Response:
        asked = SuppressionWrite(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        given.setdefault("channel", _channel_of(given["address"]))
        made = suppress_address(organization=self.organization, **given)
        asked_for = {"reason": SuppressionReason.MANUAL, "expires_at": None, **given}
        kept = [name for name in ("reason", "detail", "expires_at") if _is_kept(made, name, asked_for)]
        return Response({**SuppressionRow(made).data, "kept": kept}, status=status.HTTP_201_CREATED)


class SuppressionView(TenantAPIView):
    """One entry. Deleting it lets mail go there again, which is for staff to decide."""

    permission_classes = [IsStaffMember]

    def find(self, suppression_id: str) -> Suppression:
        found: Suppression | None = (
            Suppression.objects.for_organization(self.organization)
            .filter(id=uuid.UUID(suppression_id))
            .first()
        )
        if found is None:
            raise NotFound("There is no such entry.")
        return found

    @extend_schema(responses=SuppressionRow)
    def get(self, request: Request, suppression_id: str) -> Response:
        return Response(SuppressionRow(self.find(suppression_id)).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, suppression_id: str) -> Response:
        lift_suppression(suppression=self.find(suppression_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class SuppressionImportView(TenantAPIView):
    """Up to 10,000 addresses as JSON, or as CSV (``text/csv``) with a heading."""

    permission_classes = [HasScope("notifications:send")]
    parser_classes = [JSONParser, CSVParser]

    @extend_schema(
        request={"application/json": SuppressionImport, "text/csv": OpenApiTypes.STR},
        responses=ImportAnswer,
        parameters=[
            IDEMPOTENCY,
            OpenApiParameter("all_or_nothing", bool, description="For CSV: one wrong row refuses them all."),
        ],
        description=f"At most {MAX_ROWS} rows and 1 MiB in one call.",
    )
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._import(request))

    def _import(self, request: Request) -> Response:
        rows, all_or_nothing = _given_rows(request)
        report = import_suppressions(organization=self.organization, rows=rows, all_or_nothing=all_or_nothing)
        if all_or_nothing and report.refused:
            raise _refused(report)
        return Response(answer_of(report))


def _filtered(rows: QuerySet[Suppression], request: Request) -> QuerySet[Suppression]:
    asked = request.query_params
    for name, known in (
        ("channel", [value for value, _ in _CHANNELS]),
        ("reason", SuppressionReason.values),
    ):
        if given := asked.get(name):
            if given not in known:
                raise InvalidInput(f"One of {', '.join(known)}.", attr=name)
            rows = rows.filter(**{name: given})
    if address := asked.get("address", "").strip():
        _, index = check_address(_channel_of(address), address)
        rows = rows.filter(address_index=index)
    return rows


def _channel_of(address: str) -> str:
    return Channel.EMAIL if "@" in address else Channel.SMS


def _is_kept(made: Suppression, name: str, asked_for: dict[str, Any]) -> bool:
    return name in asked_for and getattr(made, name) != asked_for[name]


def _given_rows(request: Request) -> tuple[list[Row], bool]:
    data: Any = request.data
    if isinstance(data, bytes):
        wanted = request.query_params.get("all_or_nothing", "false").lower()
        if wanted not in {"true", "false"}:
            raise InvalidInput("true or false.", attr="all_or_nothing")
        return bounded(read_csv(io.BytesIO(data))), wanted == "true"
    asked = SuppressionImport(data=data)
    asked.is_valid(raise_exception=True)
    given = asked.validated_data
    rows = (Row(position, fields, strict=True) for position, fields in enumerate(given["rows"]))
    return bounded(rows), given["all_or_nothing"]


def answer_of(report: ImportReport) -> dict[str, Any]:
    """What came of an import as JSON."""
    told = dataclasses.asdict(report)
    told["errors"] = [
        {"row": one.line, "attr": one.attr, "code": one.code, "detail": one.message} for one in report.errors
    ]
    return told


def _refused(report: ImportReport) -> ValidationError:
    """The API's error shape, one error per row: ``rows.<row>.<field>``."""
    rows = {
        str(one.line): {one.attr or "address": [ErrorDetail(one.message, code=one.code)]}
        for one in report.errors
    }
    return ValidationError({"rows": rows})
