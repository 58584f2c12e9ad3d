"""Addresses of conversations, below ``/api/v1/``; each with and without a slash at its end."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, re_path

from messaging.api.messages import MessageView, ThreadMessagesView
from messaging.api.participants import ParticipantsView, ParticipantView
from messaging.api.threads import (
    ThreadEventsView,
    ThreadReadView,
    ThreadStateView,
    ThreadsView,
    ThreadView,
)

_THREAD = r"^threads/(?P<thread_id>[^/]+)"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^threads/?$", ThreadsView.as_view(), name="threads"),
    re_path(rf"{_THREAD}/?$", ThreadView.as_view(), name="thread"),
    re_path(rf"{_THREAD}/messages/?$", ThreadMessagesView.as_view(), name="thread-messages"),
    re_path(rf"{_THREAD}/read/?$", ThreadReadView.as_view(), name="thread-read"),
    re_path(rf"{_THREAD}/events/?$", ThreadEventsView.as_view(), name="thread-events"),
    re_path(
        rf"{_THREAD}/(?P<change>archive|unarchive|mute|unmute)/?$",
        ThreadStateView.as_view(),
        name="thread-state",
    ),
    re_path(rf"{_THREAD}/participants/?$", ParticipantsView.as_view(), name="thread-participants"),
    re_path(
        rf"{_THREAD}/participants/(?P<participant_id>[^/]+)/?$",
        ParticipantView.as_view(),
        name="thread-participant",
    ),
    re_path(r"^messages/(?P<message_id>[^/]+)/?$", MessageView.as_view(), name="message"),
]
