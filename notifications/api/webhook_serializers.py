"""The JSON of webhook endpoints and of what was sent to them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookKind
from notifications.services.webhook_endpoints import MAX_DESCRIPTION, MAX_URL, shown_url


class EndpointWrite(StrictSerializer):
    """A new endpoint. Deeper checks are the service's."""

    url = serializers.CharField(max_length=MAX_URL)
    kind = serializers.ChoiceField(WebhookKind.choices, required=False)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_blank=True)
    event_types = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    include_address = serializers.BooleanField(required=False)


class EndpointChange(StrictSerializer):
    """What may change later."""

    url = serializers.CharField(max_length=MAX_URL, required=False)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, allow_blank=True)
    event_types = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    include_address = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)


class EndpointView(serializers.ModelSerializer[WebhookEndpoint]):
    """An endpoint without its secret. Slack's URL is shown without its path."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id",
            "url",
            "kind",
            "description",
            "event_types",
            "include_address",
            "is_active",
            "disabled_at",
            "disabled_reason",
            "failing_since",
            "last_success_at",
            "previous_secret_until",
            "created_at",
        )

    def get_url(self, row: WebhookEndpoint) -> str:
        return shown_url(row)


class NewEndpointView(EndpointView):
    """With the secret, this once; Slack's endpoints have none."""

    secret = serializers.CharField()

    class Meta(EndpointView.Meta):
        fields = (*EndpointView.Meta.fields, "secret")  # type: ignore[assignment]


class WebhookDeliveryView(serializers.ModelSerializer[WebhookDelivery]):
    """A message on its way to an endpoint; ``message_id`` is its ``webhook-id``."""

    event_type = serializers.CharField(source="message.event_type")
    occurred_at = serializers.DateTimeField(source="message.occurred_at")

    class Meta:
        model = WebhookDelivery
        fields = (
            "id",
            "message_id",
            "event_type",
            "occurred_at",
            "status",
            "due_at",
            "attempt_count",
            "last_status_code",
            "last_detail",
            "settled_at",
            "created_at",
        )


class AttemptView(serializers.ModelSerializer[WebhookAttempt]):
    """One call; without ``finished_at`` the worker was lost in the middle."""

    started_at = serializers.DateTimeField(source="created_at")

    class Meta:
        model = WebhookAttempt
        fields = ("number", "started_at", "finished_at", "status_code", "detail", "answer", "elapsed_ms")


class WebhookDeliveryDetail(WebhookDeliveryView):
    """With what was told and each attempt."""

    payload = serializers.DictField(source="message.payload")
    attempts = AttemptView(many=True)

    class Meta(WebhookDeliveryView.Meta):
        fields = (*WebhookDeliveryView.Meta.fields, "payload", "attempts")  # type: ignore[assignment]


class ReplayRequest(StrictSerializer):
    """What failed since a moment; with ``delivered`` also what arrived."""

    since = serializers.DateTimeField()
    delivered = serializers.BooleanField(required=False, default=False)


class Replayed(serializers.Serializer[Any]):
    replayed = serializers.IntegerField()
