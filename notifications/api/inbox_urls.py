"""``/api/v1/notifications/``: what a person does in the inbox beyond reading and archiving."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import inbox_views

_ONE = "notifications/<uuid:notification_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    route("notifications/mark", inbox_views.MarkAnyView.as_view(), name="notifications-mark"),
    route(f"{_ONE}/snooze", inbox_views.SnoozeView.as_view(), name="notification-snooze"),
    route(f"{_ONE}/unsnooze", inbox_views.ActView.as_view(act="unsnooze"), name="notification-unsnooze"),
    route(
        f"{_ONE}/actions/<slug:key>/done",
        inbox_views.ActionView.as_view(done=True),
        name="notification-action-done",
    ),
    route(
        f"{_ONE}/actions/<slug:key>/undone",
        inbox_views.ActionView.as_view(done=False),
        name="notification-action-undone",
    ),
]
