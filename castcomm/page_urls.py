"""The addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from castcomm import pages
from notifications.api.push_click_views import PushClickView

urlpatterns: list[URLPattern] = [
    path("", pages.home, name="home"),
    path("inbox/", pages.inbox, name="inbox"),
    path("chat/", pages.chat, name="chat"),
    path("chat/<uuid:thread_id>/", pages.chat, name="chat-thread"),
    path("preferences/", pages.preferences, name="preferences"),
    path("devices/", pages.devices, name="devices"),
    path("service-worker.js", pages.service_worker, name="service-worker"),
    path("push/clicked", PushClickView.as_view(), name="push-clicked"),
    path("organization/", pages.choose_organization, name="choose-organization"),
]
