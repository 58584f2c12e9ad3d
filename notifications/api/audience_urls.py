"""``/api/v1/topics``, ``lists`` and ``broadcasts``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from castcomm.common.api.routing import route
from notifications.api import broadcast_views, list_views, topic_views

_TOPIC = "topics/<str:key>"
_LIST = "lists/<str:key>"
_BROADCAST = "broadcasts/<uuid:broadcast_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    route("topics", topic_views.TopicsView.as_view(), name="topics"),
    route(_TOPIC, topic_views.TopicView.as_view(), name="topic"),
    route(f"{_TOPIC}/subscribers", topic_views.SubscribersView.as_view(), name="topic-subscribers"),
    route(f"{_TOPIC}/subscription", topic_views.SubscriptionView.as_view(), name="topic-subscription"),
    route("lists", list_views.ListsView.as_view(), name="lists"),
    route(_LIST, list_views.ListView.as_view(), name="list"),
    route(f"{_LIST}/members", list_views.MembersView.as_view(), name="list-members"),
    route(f"{_LIST}/import", list_views.ListImportView.as_view(), name="list-import"),
    route("broadcasts", broadcast_views.BroadcastsView.as_view(), name="broadcasts"),
    route(_BROADCAST, broadcast_views.BroadcastView.as_view(), name="broadcast"),
    *(
        route(
            f"{_BROADCAST}/{act}",
            broadcast_views.BroadcastActView.as_view(act=act),
            name=f"broadcast-{act}",
        )
        for act in ("pause", "resume", "cancel")
    ),
]
