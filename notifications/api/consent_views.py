"""What the caller agreed to and took back."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from notifications.api.inbox_views import person
from notifications.api.preference_serializers import ConsentJson, ConsentJsonByLink
from notifications.api.preference_token import PREFERENCE_AUTHENTICATION
from notifications.services.consents import chain_of
from notifications.services.preference_links import PreferenceLink


class _InOrder(CursorPagination):
    """By the numbers that order the chain."""

    ordering = ("-id",)


class ConsentsView(TenantAPIView):
    """The person's own records, the newest first."""

    authentication_classes = PREFERENCE_AUTHENTICATION
    permission_classes = [IsMember]

    @extend_schema(responses=ConsentJson(many=True))
    def get(self, request: Request) -> Response:
        pages = _InOrder()
        rows = chain_of(self.organization.id, person(self).id)
        page = pages.paginate_queryset(rows, request, view=self) or []
        shape = ConsentJsonByLink if isinstance(request.auth, PreferenceLink) else ConsentJson
        return pages.get_paginated_response(shape(page, many=True).data)
