"""API keys, for the owners and admins of an organization."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import serializers
from accounts.api.tenancy import IsOrganizationAdmin, TenantAPIView, TenantMixin
from accounts.models import ApiKey
from accounts.services import api_keys
from castcomm.common.errors import NotFound


class KeysView(TenantMixin, ListAPIView[ApiKey]):
    """The keys of the organization, and the making of new ones."""

    permission_classes = [IsOrganizationAdmin]
    serializer_class = serializers.KeyView
    queryset = ApiKey.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return ApiKey.objects.for_organization(self.organization)

    @extend_schema(request=serializers.NewKey, responses={201: serializers.NewKeyView})
    def post(self, request: Request) -> Response:
        new = serializers.NewKey(data=request.data)
        new.is_valid(raise_exception=True)
        # No run_once here: the record of the answer would keep the plain key.
        key, plain = api_keys.create_api_key(
            organization=self.organization, created_by=self.user, **new.validated_data
        )
        return Response(_with_secret(key, plain), status=status.HTTP_201_CREATED)


class _OneKeyView(TenantAPIView):
    permission_classes = [IsOrganizationAdmin]

    def find(self, key_id: str) -> ApiKey:
        key: ApiKey | None = (
            ApiKey.objects.for_organization(self.organization).filter(id=uuid.UUID(key_id)).first()
        )
        if key is None:
            raise NotFound("There is no such key.")
        return key


class KeyDetailView(_OneKeyView):
    """One key."""

    @extend_schema(responses=serializers.KeyView)
    def get(self, request: Request, key_id: str) -> Response:
        return Response(serializers.KeyView(self.find(key_id)).data)


class KeyRotationView(_OneKeyView):
    """A successor of a key; the old one works a while longer."""

    @extend_schema(request=serializers.Rotation, responses={201: serializers.NewKeyView})
    def post(self, request: Request, key_id: str) -> Response:
        key = self.find(key_id)
        rotation = serializers.Rotation(data=request.data)
        rotation.is_valid(raise_exception=True)
        overlap = dt.timedelta(seconds=rotation.validated_data["overlap_seconds"])
        successor, plain = api_keys.rotate(key=key, created_by=self.user, overlap=overlap)
        return Response(_with_secret(successor, plain), status=status.HTTP_201_CREATED)


class KeyRevocationView(_OneKeyView):
    """The end of a key."""

    @extend_schema(request=None, responses=serializers.KeyView)
    def post(self, request: Request, key_id: str) -> Response:
        return Response(serializers.KeyView(api_keys.revoke(key=self.find(key_id))).data)


def _with_secret(key: ApiKey, plain: str) -> dict[str, Any]:
    return {**serializers.KeyView(key).data, "key": plain}
