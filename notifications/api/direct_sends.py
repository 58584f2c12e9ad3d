"""What the direct endpoints of a channel share: ``to`` instead of recipients, plain fields instead of content.

They are other words for ``send_notification``; its errors are given back in the caller's words.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, TenantAPIView
from castcomm.common.api.serializers import StrictSerializer
from castcomm.common.errors import CastCommError
from castcomm.common.ids import parse_id
from notifications.api.sending_views import send_answer
from notifications.services.sending import SendResult, send_notification
from notifications.vocabulary import Priority

MAX_RECIPIENTS = 1_000
_RECIPIENT = re.compile(r"^recipients\.(\d+)(?=\.|$)")


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
class RecipientsField(serializers.Field[list[str], Any, Any, Any]):
    """An address (or a member's id), or where there may be several a list of them; always a list inside."""

    default_error_messages = {
        "invalid": "An address, or the id of a member.",
        "not_a_list": "An address, or a list of at least one.",
        "max_length": "At most {limit} recipients in one call.",
    }

    def __init__(self, *, several: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.several = several

    def to_internal_value(self, data: Any) -> list[str]:
        given = data if isinstance(data, list) and self.several else [data]
        if not given:
            self.fail("not_a_list")
        if len(given) > MAX_RECIPIENTS:
            self.fail("max_length", limit=MAX_RECIPIENTS)
        for one in given:
            if not isinstance(one, str) or not one.strip():
                self.fail("not_a_list" if self.several else "invalid")
        return [one.strip() for one in given]


class RecipientsSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """What the OpenAPI schema says about the field."""

    target_class = RecipientsField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        one = {"type": "string"}
        if not self.target.several:
            return one
        many = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_RECIPIENTS}
        return {"oneOf": [one, many]}


class DirectSend(StrictSerializer):
    """What every direct send may say. ``event_type`` decides about preferences and quiet hours."""

    event_type = serializers.CharField(max_length=100, required=False)
    data = serializers.DictField(required=False)  # type: ignore[assignment]
    priority = serializers.ChoiceField([one.key for one in Priority], required=False)
    scheduled_for = serializers.DateTimeField(required=False)


class DirectSendView(TenantAPIView, abc.ABC):
    """A POST that sends on one channel."""

    permission_classes = [HasScope("notifications:send")]
    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    form: type[StrictSerializer]

    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._answer(request))

    def _answer(self, request: Request) -> Response:
        asked = self.form(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(self.act(asked.validated_data), status=status.HTTP_202_ACCEPTED)

    @abc.abstractmethod
    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Send what was asked for and say what came of it."""


def send_directly(
    view: TenantAPIView, *, channel: str, kind: str, to: list[str], is_list: bool, **more: Any
) -> SendResult:
    """Send on one channel; ``kind`` is what an address of ``to`` is (email, phone).

    Raises the service's errors with ``to`` or ``to.N``, and the field itself instead of ``content.<field>``.
    """
    recipients: list[Mapping[str, str]] = [{"user" if parse_id(one) else kind: one} for one in to]
    try:
        return send_notification(
            organization=view.organization, recipients=recipients, channels=[channel], source="api", **more
        )
    except CastCommError as error:
        error.attr = _in_their_words(error.attr, is_list)
        raise


def _in_their_words(attr: str | None, is_list: bool) -> str | None:
    if attr is None:
        return None
    named = _RECIPIENT.sub(r"to.\1" if is_list else "to", attr).removeprefix("content.")
    return {"sms": "text", "recipients": "to"}.get(named, named)


def direct_answer(result: SendResult, **more: Any) -> dict[str, Any]:
    """The answer of ``POST notifications``, and what the channel adds."""
    return {**send_answer(result), **more}
