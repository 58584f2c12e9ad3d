"""The addresses that stand in mails: short, and for ever."""

from __future__ import annotations

from django.urls import URLPattern, path

from notifications.public import preferences, tracked, unsubscribing

urlpatterns: list[URLPattern] = [
    path("u/<str:token>", unsubscribing.unsubscribe_page, name="unsubscribe"),
    path("p/<str:token>", preferences.preference_page, name="preferences-by-link"),
    path("t/c/<str:token>", tracked.click, name="tracked-click"),
    path("t/o/<str:token>.gif", tracked.opened, name="tracked-open"),
]
