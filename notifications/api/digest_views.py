"""Digests: how often a person wants them, what waits for the next, and what it looks like."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, IsMember, IsStaffMember, TenantAPIView
from accounts.models import User
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import parse_id
from notifications.api import digest_serializers as forms
from notifications.api.direct_sends import DirectSendView, direct_answer
from notifications.api.inbox_views import person
from notifications.api.preference_token import PREFERENCE_AUTHENTICATION
from notifications.api.sending_views import IDEMPOTENCY
from notifications.api.serializers import SendAnswer
from notifications.services.digests import preview, settings, waiting


class DigestSettingsView(TenantAPIView):
    """How often mail reaches the caller; also by the link to the preferences in a mail."""

    authentication_classes = PREFERENCE_AUTHENTICATION
    permission_classes = [IsMember]

    def owner(self) -> User | None:
        """Whose settings these are; None for the organization's."""
        user: User = person(self)
        return user

    @extend_schema(responses=forms.DigestSettings)
    def get(self, request: Request) -> Response:
        return Response(settings.settings_of(organization=self.organization, user=self.owner()))

    @extend_schema(request=forms.DigestChanges, responses=forms.DigestSettings)
    def patch(self, request: Request) -> Response:
        asked = forms.DigestChanges(data=request.data)
        asked.is_valid(raise_exception=True)
        changes = settings.parse_settings(asked.validated_data["set"])
        settings.set_digests(organization=self.organization, user=self.owner(), changes=changes)
        return self.get(request)


class OrganizationDigestsView(DigestSettingsView):
    """What holds for those who have set nothing themselves."""

    authentication_classes = TenantAPIView.authentication_classes
    permission_classes = [IsStaffMember]

    def owner(self) -> None:
        return None


class DigestsView(TenantAPIView):
    """What waits for the caller's next digests, in its order."""

    permission_classes = [IsMember]

    @extend_schema(responses=forms.OpenDigests)
    def get(self, request: Request) -> Response:
        return Response({"results": waiting.open_windows(organization=self.organization, user=person(self))})


class FlushView(TenantAPIView):
    """Send the caller's digests now."""

    permission_classes = [IsMember]

    @extend_schema(request=None, responses=forms.FlushedDigests)
    def post(self, request: Request) -> Response:
        return Response({"results": waiting.flush(organization=self.organization, user=person(self))})


class FlushOneView(TenantAPIView):
    """Send one of the caller's digests now."""

    permission_classes = [IsMember]

    @extend_schema(operation_id="digest_flush_create", request=None, responses=forms.DigestWindowJson)
    def post(self, request: Request, window_id: uuid.UUID) -> Response:
        flushed = waiting.flush(organization=self.organization, user=person(self), window_id=window_id)
        return Response(flushed[0])


class PreviewDigestView(TenantAPIView):
    """The mail that would go out if the caller's digest closed now."""

    permission_classes = [IsMember]

    @extend_schema(
        parameters=[OpenApiParameter("frequency", str, enum=list(preview.FREQUENCIES))],
        responses=forms.DigestPreview,
    )
    def get(self, request: Request) -> Response:
        frequency = request.query_params.get("frequency", "daily")
        made = preview.preview_digest(organization=self.organization, user=person(self), frequency=frequency)
        return Response(
            {
                "subject": made.email.subject,
                "html": made.email.html,
                "text": made.email.text,
                "count": made.count,
                "is_example": made.is_example,
            }
        )


class TestDigestView(DirectSendView):
    """Mail an example. Members get it at their own address, staff may name a member, a key any address."""

    permission_classes = [IsMember | HasScope("notifications:send")]
    form = forms.TestDigest

    @extend_schema(request=forms.TestDigest, responses={202: SendAnswer}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        return super().post(request)

    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        user = self._member(asked["to"])
        if user is None and self.tenant.key is None:
            raise InvalidInput(
                "Your own address, or for staff that of a member.", attr="to", code="not_a_member"
            )
        return direct_answer(preview.send_test_digest(organization=self.organization, user=user, **asked))

    def _member(self, to: str) -> User | None:
        """Whom ``to`` names, as far as the caller may write to them."""
        members = User.objects.filter(
            memberships__organization=self.organization, memberships__is_active=True, is_active=True
        )
        user_id = parse_id(to)
        found: User | None = (
            members.filter(id=user_id).first() if user_id else members.filter(email=to.lower()).first()
        )
        if found is None or self.tenant.key is not None or self.tenant.is_staff:
            return found
        return found if self.user is not None and found.id == self.user.id else None
