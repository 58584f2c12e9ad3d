"""``/api/v1/digests/``, the organization's defaults, and the test mail."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import digest_views

_PAGES = (
    ("digests", digest_views.DigestsView, "digests"),
    ("digests/settings", digest_views.DigestSettingsView, "digest-settings"),
    ("digests/preview", digest_views.PreviewDigestView, "digest-preview"),
    ("digests/flush", digest_views.FlushView, "digests-flush"),
    ("digests/<uuid:window_id>/flush", digest_views.FlushOneView, "digest-flush"),
    ("organization/digests", digest_views.OrganizationDigestsView, "organization-digests"),
    ("notifications/test-digest", digest_views.TestDigestView, "test-digest"),
)

urlpatterns: list[URLPattern | URLResolver] = [
    route(address, view.as_view(), name=name) for address, view, name in _PAGES
]
