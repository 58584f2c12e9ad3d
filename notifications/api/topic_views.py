"""Topics: for staff and servers all of them, for people those that they may join or are in."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, IsMember, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from notifications.api import audience_serializers as shapes
from notifications.api.inbox_views import person
from notifications.api.keyed_views import KeyedCollection, KeyedOne, WithTopic, checked
from notifications.api.preference_token import PREFERENCE_AUTHENTICATION
from notifications.models import ConsentSource, Topic, TopicSubscription
from notifications.services.audiences.keys import find_row
from notifications.services.audiences.topics import (
    Doer,
    subscribe,
    subscribe_many,
    topics_for,
    unsubscribe,
    unsubscribe_many,
)
from notifications.services.consents import facts_of
from notifications.services.preference_links import PreferenceLink


def _json(topic: Topic, subscribed: bool | None) -> dict[str, Any]:
    return {
        "key": topic.key,
        "name": topic.name,
        "description": topic.description,
        "is_open": topic.is_open,
        "subscribed": subscribed,
    }


def doer_of(view: TenantAPIView) -> Doer:
    """Who subscribes: the person signed in, by the link in a mail, or a server."""
    facts = facts_of(view.request)
    link = view.request.auth
    if isinstance(link, PreferenceLink):
        return Doer(
            source=ConsentSource.SIGNED_LINK, user_id=link.user_id, facts=facts, delivery_id=link.delivery_id
        )
    if view.user is None:
        return Doer(source=ConsentSource.API, facts=facts)
    return Doer(source=ConsentSource.SIGNED_IN, user_id=view.user.id, facts=facts)


class TopicsView(KeyedCollection):
    """The topics that the caller may see, and one more by staff or a server."""

    authentication_classes = PREFERENCE_AUTHENTICATION
    model = Topic
    write_serializer = shapes.TopicWrite

    def get_permissions(self) -> list[Any]:
        if self.request.method == "GET":
            return [(IsMember | HasScope("notifications:read"))()]
        return super().get_permissions()

    def shown(self, row: Topic) -> dict[str, Any]:
        return _json(row, None if self.user is None else False)

    @extend_schema(responses=shapes.TopicRow(many=True))
    def get(self, request: Request) -> Response:
        if self.user is None:
            return super().get(request)
        own = topics_for(self.organization, self.user, see_all=self.tenant.is_staff)
        return Response({"results": [_json(topic, subscribed) for topic, subscribed in own]})

    @extend_schema(request=shapes.TopicWrite, responses={201: shapes.TopicRow})
    def post(self, request: Request) -> Response:
        return super().post(request)


class TopicView(KeyedOne):
    """One topic. Its key stays; deleting it ends all subscriptions."""

    model = Topic
    change_serializer = shapes.TopicChange

    def shown(self, row: Topic) -> dict[str, Any]:
        mine = TopicSubscription.objects.filter(topic=row, user=self.user).exists() if self.user else None
        return {**_json(row, mine), "subscribers": row.subscriptions.count()}

    @extend_schema(responses=shapes.TopicRow)
    def get(self, request: Request, key: str) -> Response:
        return super().get(request, key)

    @extend_schema(request=shapes.TopicChange, responses=shapes.TopicRow)
    def patch(self, request: Request, key: str) -> Response:
        return super().patch(request, key)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        return super().delete(request, key)


class SubscribersView(WithTopic):
    """Who is subscribed; and members subscribed or taken off by staff or a server."""

    @extend_schema(responses=shapes.SubscriberRow(many=True))
    def get(self, request: Request, key: str) -> Response:
        rows = self.topic(key).subscriptions.select_related("user")
        pages = CursorPagination()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(shapes.SubscriberRow(page, many=True).data)

    @extend_schema(request=shapes.People, responses=shapes.Changed)
    def put(self, request: Request, key: str) -> Response:
        return self._change(request, key, subscribe_many)

    @extend_schema(request=shapes.People, responses=shapes.Changed)
    def delete(self, request: Request, key: str) -> Response:
        return self._change(request, key, unsubscribe_many)

    def _change(self, request: Request, key: str, act: Any) -> Response:
        topic = self.topic(key)
        doer = doer_of(self)
        if self.user is not None:
            doer = Doer(source=ConsentSource.STAFF, user_id=doer.user_id, facts=doer.facts)
        return Response({"changed": act(topic=topic, doer=doer, **checked(shapes.People, request))})


class SubscriptionView(TenantAPIView):
    """The caller's own subscription. A closed topic cannot be joined (403), but left."""

    authentication_classes = PREFERENCE_AUTHENTICATION
    permission_classes = [IsMember]

    def topic(self, key: str) -> Topic:
        """The topic; raises NotFound."""
        return find_row(Topic, self.organization, key)

    @extend_schema(responses=shapes.Subscription)
    def get(self, request: Request, key: str) -> Response:
        own = TopicSubscription.objects.filter(topic=self.topic(key), user=person(self))
        return Response({"subscribed": own.exists()})

    @extend_schema(request=None, responses=shapes.Subscription)
    def put(self, request: Request, key: str) -> Response:
        subscribe(topic=self.topic(key), user=person(self), doer=doer_of(self))
        return Response({"subscribed": True})

    @extend_schema(request=None, responses=shapes.Subscription)
    def delete(self, request: Request, key: str) -> Response:
        unsubscribe(topic=self.topic(key), user=person(self), doer=doer_of(self))
        return Response({"subscribed": False})
