"""``email/send`` and ``email/template``: direct sends, the same path inside."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.api.direct_sends import (
    DirectSend,
    DirectSendView,
    RecipientsField,
    direct_answer,
    send_directly,
)
from notifications.api.sending_views import IDEMPOTENCY
from notifications.api.serializers import AttachmentField, SendAnswer
from notifications.vocabulary import Channel

_CONTENT = ("subject", "text", "html")


class _Mail(DirectSend):
    """``to`` is an address, a member's id, or a list of them; each gets a mail of their own."""

    to = RecipientsField(several=True)
    reply_to = serializers.CharField(max_length=254, required=False)
    attachments = AttachmentField(many=True, required=False)


class EmailSend(_Mail):
    """A mail as text, as HTML, or both."""

    subject = serializers.CharField(max_length=500)
    text = serializers.CharField(required=False, trim_whitespace=False)
    html = serializers.CharField(required=False, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "text" not in attrs and "html" not in attrs:
            raise serializers.ValidationError({"text": "Give text, html or both."}, code="required")
        return attrs


class EmailTemplateSend(_Mail):
    """A mail from a published template, filled in with ``data``."""

    template = serializers.CharField(max_length=100)


class EmailSendView(DirectSendView):
    """A mail, or the same one to several."""

    form = EmailSend

    @extend_schema(request=EmailSend, responses={202: SendAnswer}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        return super().post(request)

    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        call = dict(asked)
        call["content"] = {name: call.pop(name) for name in _CONTENT if name in call}
        return _send(self, call)


class EmailTemplateView(DirectSendView):
    """A template to one or several."""

    form = EmailTemplateSend

    @extend_schema(request=EmailTemplateSend, responses={202: SendAnswer}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        return super().post(request)

    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        return _send(self, asked)


def _send(view: DirectSendView, call: dict[str, Any]) -> dict[str, Any]:
    is_list = isinstance(view.request.data.get("to"), list)
    return direct_answer(send_directly(view, channel=Channel.EMAIL, kind="email", is_list=is_list, **call))
