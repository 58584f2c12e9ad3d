"""Event types, categories and templates, for staff and for keys with ``templates:write``."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from django.db.models import ProtectedError
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, IsMember, TenantAPIView
from accounts.models import User
from castcomm.common.errors import Conflict, InvalidInput, NotFound
from notifications.api import serializers
from notifications.models import Category, EventType, Template
from notifications.services.sending import send_notification
from notifications.services.sms_segments import count_segments
from notifications.services.templates import preview_template, publish_template, save_template

WRITE = HasScope("templates:write")


class CategoriesView(TenantAPIView):
    permission_classes = [IsMember | HasScope("notifications:read")]

    @extend_schema(responses=serializers.CategorySerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = Category.objects.for_organization(self.organization)
        return Response({"results": serializers.CategorySerializer(rows, many=True).data})


class EventTypesView(TenantAPIView):
    permission_classes = [IsMember | HasScope("notifications:read")]

    @extend_schema(responses=serializers.EventTypeSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = EventType.objects.for_organization(self.organization).select_related("category", "template")
        return Response({"results": serializers.EventTypeSerializer(rows, many=True).data})


class TemplatesView(TenantAPIView):
    permission_classes = [WRITE]

    @extend_schema(responses=serializers.TemplateSerializer(many=True))
    def get(self, request: Request) -> Response:
        rows = (
            Template.objects.for_organization(self.organization)
            .select_related("layout")
            .prefetch_related("versions")
        )
        return Response({"results": serializers.TemplateSerializer(rows, many=True).data})

    @extend_schema(request=serializers.TemplateWrite, responses={201: serializers.TemplateSerializer})
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._create(request))

    def _create(self, request: Request) -> Response:
        asked = _checked(request)
        if Template.objects.for_organization(self.organization).filter(key=asked["key"]).exists():
            raise Conflict("There is a template with this key.", attr="key", code="exists")
        template = save_template(organization=self.organization, **_with_layout(self, asked))
        return Response(serializers.TemplateSerializer(template).data, status=status.HTTP_201_CREATED)


def _checked(request: Request) -> dict[str, Any]:
    asked = serializers.TemplateWrite(data=request.data)
    asked.is_valid(raise_exception=True)
    checked: dict[str, Any] = asked.validated_data
    return checked


def _with_layout(view: TenantAPIView, asked: dict[str, Any]) -> dict[str, Any]:
    key = asked.pop("layout", None)
    if key is not None:
        layout = Template.objects.for_organization(view.organization).filter(key=key, kind="layout").first()
        if layout is None:
            raise InvalidInput(f"There is no layout {key!r}.", attr="layout", code="not_found")
        asked["layout"] = layout
    return asked


class TemplateView(TenantAPIView):
    permission_classes = [WRITE]

    def find(self, template_id: str) -> Template:
        rows = Template.objects.for_organization(self.organization).select_related("layout", "organization")
        found: Template | None = (
            rows.prefetch_related("versions__contents").filter(id=uuid.UUID(template_id)).first()
        )
        if found is None:
            raise NotFound("There is no such template.")
        return found

    @extend_schema(responses=serializers.TemplateSerializer)
    def get(self, request: Request, template_id: str) -> Response:
        template = self.find(template_id)
        versions = serializers.VersionSerializer(template.versions.all(), many=True).data
        return Response({**serializers.TemplateSerializer(template).data, "versions": versions})

    @extend_schema(request=serializers.TemplateWrite, responses=serializers.TemplateSerializer)
    def put(self, request: Request, template_id: str) -> Response:
        template = self.find(template_id)
        asked = _checked(request)
        if asked["key"] != template.key:
            raise InvalidInput("The key of a template cannot change.", attr="key")
        saved = save_template(organization=self.organization, **_with_layout(self, asked))
        return Response(serializers.TemplateSerializer(saved).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, template_id: str) -> Response:
        template = self.find(template_id)
        try:
            template.delete()
        except ProtectedError as error:
            raise Conflict("It is in use by event types or was used to send.", code="in_use") from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class TemplatePublishView(TemplateView):
    http_method_names = ["post", "options"]

    @extend_schema(request=None, responses=serializers.TemplateSerializer)
    def post(self, request: Request, template_id: str) -> Response:
        template = self.find(template_id)
        publish_template(template=template, user=self.user)
        return Response(serializers.TemplateSerializer(self.find(template_id)).data)


class TemplatePreviewView(TemplateView):
    http_method_names = ["post", "options"]

    @extend_schema(
        request=serializers.PreviewRequest,
        responses=OpenApiResponse(description="What each channel would say."),
    )
    def post(self, request: Request, template_id: str) -> Response:
        template = self.find(template_id)
        asked = serializers.PreviewRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        preview = preview_template(
            template=template,
            user=self._preview_user(asked.validated_data.get("user")),
            data=asked.validated_data.get("data", {}),
            locale=asked.validated_data.get("locale", "en"),
        )
        segments = dataclasses.asdict(count_segments(preview.sms)) if preview.sms else None
        return Response({**dataclasses.asdict(preview), "sms_segments": segments})

    def _preview_user(self, user_id: uuid.UUID | None) -> User | None:
        if user_id is None:
            return self.user
        found = User.objects.filter(
            id=user_id, memberships__organization=self.organization, memberships__is_active=True
        ).first()
        if found is None:
            raise InvalidInput("No member has this id.", attr="user", code="not_found")
        return found


class TemplateTestSendView(TemplateView):
    """Send what is published to the caller."""

    http_method_names = ["post", "options"]

    @extend_schema(
        request=serializers.PreviewRequest,
        responses={202: OpenApiResponse(description="The notification's id.")},
    )
    def post(self, request: Request, template_id: str) -> Response:
        template = self.find(template_id)
        asked = serializers.PreviewRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        if self.user is None:
            raise InvalidInput("A test goes to the signed-in person; an API key has no address.", attr="user")
        examples = {n: d["example"] for n, d in template.variables.items() if "example" in d}
        result = send_notification(
            organization=self.organization,
            template=template.key,
            recipients=[self.user],
            data={**examples, **asked.validated_data.get("data", {})},
            source="test",
        )
        answer = {"notification": str(result.notifications[0].id)}
        return Response(answer, status=status.HTTP_202_ACCEPTED)
