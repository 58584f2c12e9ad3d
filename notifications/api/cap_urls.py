"""``/api/v1/frequency-caps/`` and ``/api/v1/organization/smart-send/``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import cap_views

urlpatterns: list[URLPattern | URLResolver] = [
    route("frequency-caps", cap_views.FrequencyCapsView.as_view(), name="frequency-caps"),
    route("organization/smart-send", cap_views.SmartSendView.as_view(), name="smart-send"),
]
