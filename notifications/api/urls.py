"""``/api/v1/``: sending, the inbox, preferences, templates."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import (
    audience_urls,
    cap_urls,
    catalog_views,
    digest_urls,
    email_views,
    inbox_urls,
    inbox_views,
    preference_urls,
    push_views,
    sending_views,
    sms_views,
    suppression_views,
    webhook_urls,
)

ONE = "notifications/<uuid:notification_id>"
TEMPLATE = "templates/<uuid:template_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    route("notifications", sending_views.NotificationsView.as_view(), name="notifications"),
    route("notifications/bulk", sending_views.BulkView.as_view(), name="notifications-bulk"),
    route(
        "notifications/preview-routing", sending_views.PreviewRoutingView.as_view(), name="preview-routing"
    ),
    route("notifications/unread", inbox_views.UnreadView.as_view(), name="notifications-unread"),
    route("notifications/history", inbox_views.HistoryView.as_view(), name="notifications-history"),
    route("notifications/count", inbox_views.CountView.as_view(), name="notifications-count"),
    route("notifications/mark-read", inbox_views.MarkView.as_view(act="read"), name="mark-read"),
    route("notifications/mark-seen", inbox_views.MarkView.as_view(act="seen"), name="mark-seen"),
    route(ONE, sending_views.NotificationView.as_view(), name="notification"),
    route(f"{ONE}/status", sending_views.StatusView.as_view(), name="notification-status"),
    route(f"{ONE}/explain", sending_views.ExplainView.as_view(), name="notification-explain"),
    route(f"{ONE}/retry", sending_views.RetryView.as_view(), name="notification-retry"),
    *(
        route(f"{ONE}/{act}", inbox_views.ActView.as_view(act=act), name=f"notification-{act}")
        for act in ("read", "unread", "seen", "archive", "unarchive")
    ),
    route("push/vapid-public-key", push_views.VapidPublicKeyView.as_view(), name="vapid-public-key"),
    route("push/test", push_views.PushTestView.as_view(), name="push-test"),
    route(
        "push/test/<uuid:notification_id>",
        push_views.PushTestOutcomeView.as_view(),
        name="push-test-outcome",
    ),
    route("push/subscriptions", push_views.PushSubscriptionsView.as_view(), name="push-subscriptions"),
    route(
        "push/subscriptions/<uuid:subscription_id>",
        push_views.PushSubscriptionView.as_view(),
        name="push-subscription",
    ),
    route("email/send", email_views.EmailSendView.as_view(), name="email-send"),
    route("email/template", email_views.EmailTemplateView.as_view(), name="email-template"),
    route("sms/send", sms_views.SmsSendView.as_view(), name="sms-send"),
    route("sms/bulk", sms_views.SmsBulkView.as_view(), name="sms-bulk"),
    route("suppressions", suppression_views.SuppressionsView.as_view(), name="suppressions"),
    route(
        "suppressions/import", suppression_views.SuppressionImportView.as_view(), name="suppressions-import"
    ),
    route(
        "suppressions/<uuid:suppression_id>",
        suppression_views.SuppressionView.as_view(),
        name="suppression",
    ),
    route("categories", catalog_views.CategoriesView.as_view(), name="categories"),
    route("event-types", catalog_views.EventTypesView.as_view(), name="event-types"),
    route("templates", catalog_views.TemplatesView.as_view(), name="templates"),
    route(TEMPLATE, catalog_views.TemplateView.as_view(), name="template"),
    route(f"{TEMPLATE}/publish", catalog_views.TemplatePublishView.as_view(), name="template-publish"),
    route(f"{TEMPLATE}/preview", catalog_views.TemplatePreviewView.as_view(), name="template-preview"),
    route(f"{TEMPLATE}/test-send", catalog_views.TemplateTestSendView.as_view(), name="template-test-send"),
    *audience_urls.urlpatterns,
    *cap_urls.urlpatterns,
    *digest_urls.urlpatterns,
    *inbox_urls.urlpatterns,
    *preference_urls.urlpatterns,
    *webhook_urls.urlpatterns,
]
