"""``/api/v1/digests/``, the organization's defaults, and the test mail."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import digest_views

urlpatterns: list[URLPattern | URLResolver] = [
    route("digests", digest_views.DigestsView.as_view(), name="digests"),
    route("digests/settings", digest_views.DigestSettingsView.as_view(), name="digest-settings"),
    route("digests/preview", digest_views.PreviewDigestView.as_view(), name="digest-preview"),
    route("digests/flush", digest_views.FlushView.as_view(), name="digests-flush"),
    route("digests/<uuid:window_id>/flush", digest_views.FlushOneView.as_view(), name="digest-flush"),
    route(
        "organization/digests", digest_views.OrganizationDigestsView.as_view(), name="organization-digests"
    ),
    route("notifications/test-digest", digest_views.TestDigestView.as_view(), name="test-digest"),
]
