"""The addresses that stand in mails: short, and for ever."""

from __future__ import annotations

from django.urls import URLPattern, path

from notifications.public import unsubscribing

urlpatterns: list[URLPattern] = [
    path("u/<str:token>", unsubscribing.unsubscribe_page, name="unsubscribe"),
]
