"""``sms/send`` and ``sms/bulk``: direct sends, the same path inside."""

from __future__ import annotations

import dataclasses
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.api.serializers import StrictSerializer
from castcomm.common.errors import CastCommError
from notifications.api.direct_sends import (
    DirectSend,
    DirectSendView,
    RecipientsField,
    direct_answer,
    send_directly,
)
from notifications.api.sending_views import IDEMPOTENCY, MAX_BULK, BulkView
from notifications.api.serializers import SendAnswer
from notifications.services.sending import SendResult
from notifications.services.sms_segments import count_segments
from notifications.vocabulary import Channel

MAX_TEXT = 1_600  # characters; what Twilio and Amazon take


class SmsSend(DirectSend):
    """``to`` is a number in E.164 or a member's id; ``text``, or a ``template`` that is filled in with ``data``."""

    to = RecipientsField()
    text = serializers.CharField(max_length=MAX_TEXT, required=False)
    template = serializers.CharField(max_length=100, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("text" in attrs) == ("template" in attrs):
            message = (
                "Give a text or a template, not both." if "text" in attrs else "Give a text or a template."
            )
            raise serializers.ValidationError({"text": message}, code="required")
        return attrs


class SmsToMany(SmsSend):
    to = RecipientsField(several=True)


class SmsMessages(StrictSerializer):
    messages = serializers.ListField(child=SmsSend(), allow_empty=False, max_length=MAX_BULK)


class SegmentsSerializer(serializers.Serializer[Any]):
    """What the text takes; ``because`` are characters that turn it into UCS-2."""

    encoding = serializers.ChoiceField(["GSM-7", "UCS-2"])
    characters = serializers.IntegerField()
    segments = serializers.IntegerField()
    per_segment = serializers.IntegerField()
    because = serializers.ListField(child=serializers.CharField())


class SmsAnswer(SendAnswer):
    """``segments`` is null for a template, whose text is not known before it is sent."""

    segments = SegmentsSerializer(allow_null=True)


class SmsAnswers(serializers.Serializer[Any]):
    results = SmsAnswer(many=True)


class SmsSendView(DirectSendView):
    """One SMS."""

    form = SmsSend

    @extend_schema(request=SmsSend, responses={202: SmsAnswer}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        return super().post(request)

    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        return _answer(send_directly(self, is_list=False, **_call(asked)), asked)


class SmsBulkView(BulkView):
    """Up to 1,000: different ``messages``, or one text ``to`` many. One that is wrong refuses them all."""

    @extend_schema(
        request=PolymorphicProxySerializer(
            component_name="SmsBulk", serializers=[SmsMessages, SmsToMany], resource_type_field_name=None
        ),
        responses={202: SmsAnswers},
        parameters=[IDEMPOTENCY],
    )
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._send_all(request))

    def _send_all(self, request: Request) -> Response:
        if isinstance(request.data, dict) and "messages" in request.data:
            many = SmsMessages(data=request.data)
            many.is_valid(raise_exception=True)
            sends = many.validated_data["messages"]
            results = self._in_one_transaction(sends)
        else:
            one = SmsToMany(data=request.data)
            one.is_valid(raise_exception=True)
            sends = [one.validated_data]
            results = [send_directly(self, is_list=True, **_call(one.validated_data))]
        answers = [_answer(result, asked) for result, asked in zip(results, sends, strict=True)]
        return Response({"results": answers}, status=status.HTTP_202_ACCEPTED)

    def _send(self, position: int, one: dict[str, Any]) -> SendResult:
        try:
            return send_directly(self, is_list=False, **_call(one))
        except CastCommError as error:
            prefix = f"messages.{position}"
            error.attr = f"{prefix}.{error.attr}" if error.attr else prefix
            raise


def _call(asked: dict[str, Any]) -> dict[str, Any]:
    call = dict(asked)
    text = call.pop("text", None)
    if text is not None:
        call["content"] = {"sms": text}
    return {"channel": Channel.SMS, "kind": "phone", **call}


def _answer(result: SendResult, asked: dict[str, Any]) -> dict[str, Any]:
    text = asked.get("text")
    return direct_answer(result, segments=dataclasses.asdict(count_segments(text)) if text else None)
