"""``/webhooks/``: what providers report."""

from __future__ import annotations

from django.urls import URLPattern, path

from notifications.webhooks import push_feedback, twilio_inbound, views

urlpatterns: list[URLPattern] = [
    path("push/feedback", push_feedback.PushFeedbackView.as_view(), name="push-feedback"),
    path("sms/twilio/inbound", twilio_inbound.receive_sms, name="twilio-inbound"),
    path("sms/twilio/<str:account_id>/inbound", twilio_inbound.receive_sms, name="twilio-account-inbound"),
    path("<str:channel>/<str:provider>", views.receive, name="provider-webhook"),
    path("<str:channel>/<str:provider>/<str:account_id>", views.receive, name="provider-account-webhook"),
]
