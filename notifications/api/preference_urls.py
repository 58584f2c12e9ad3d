"""``/api/v1/preferences``, ``organization/preferences`` and ``consents``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import consent_views, preference_views

urlpatterns: list[URLPattern | URLResolver] = [
    route("preferences", preference_views.PreferencesView.as_view(), name="preferences"),
    route(
        "preferences/effective",
        preference_views.EffectivePreferencesView.as_view(),
        name="preferences-effective",
    ),
    route(
        "organization/preferences",
        preference_views.OrganizationPreferencesView.as_view(),
        name="organization-preferences",
    ),
    route("consents", consent_views.ConsentsView.as_view(), name="consents"),
]
