"""``/api/v1/webhook-endpoints``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import webhook_views as views

ONE = "webhook-endpoints/<uuid:endpoint_id>"
DELIVERY = "webhook-endpoints/deliveries/<uuid:delivery_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    route("webhook-endpoints", views.EndpointsView.as_view(), name="webhook-endpoints"),
    route(ONE, views.EndpointDetailView.as_view(), name="webhook-endpoint"),
    route(f"{ONE}/rotate-secret", views.EndpointRotationView.as_view(), name="webhook-endpoint-rotate"),
    route(f"{ONE}/test", views.EndpointTestView.as_view(), name="webhook-endpoint-test"),
    route(f"{ONE}/deliveries", views.EndpointDeliveriesView.as_view(), name="webhook-endpoint-deliveries"),
    route(f"{ONE}/replay", views.EndpointReplayView.as_view(), name="webhook-endpoint-replay"),
    route(DELIVERY, views.WebhookDeliveryDetailView.as_view(), name="webhook-delivery"),
    route(f"{DELIVERY}/replay", views.WebhookDeliveryReplayView.as_view(), name="webhook-delivery-replay"),
]
