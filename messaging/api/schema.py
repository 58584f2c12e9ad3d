"""The shapes of the API's documentation. Input is checked by the services, output made in ``presentation``;
a test compares both with what stands here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from messaging.models import Kind, Role
from messaging.services.validation import MAX_CLIENT_ID, MAX_CONTENT, MAX_SUBJECT

Fields = serializers.Serializer[Any]


class Person(Fields):
    id = serializers.UUIDField()
    display_name = serializers.CharField()


class Participant(Fields):
    user = Person()
    role = serializers.ChoiceField(Role.choices)
    last_read_seq = serializers.IntegerField(allow_null=True)


class Message(Fields):
    id = serializers.UUIDField()
    thread = serializers.UUIDField()
    seq = serializers.IntegerField()
    msg_seq = serializers.IntegerField()
    client_id = serializers.CharField()
    sender = Person()
    content = serializers.CharField()
    reply_to = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)
    deleted_at = serializers.DateTimeField(allow_null=True)


class SentMessage(Message):
    duplicate = serializers.BooleanField()


class Thread(Fields):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(Kind.choices)
    subject = serializers.CharField()
    metadata = serializers.DictField()
    participants = Participant(many=True)
    participant_count = serializers.IntegerField()
    head_seq = serializers.IntegerField()
    msg_seq = serializers.IntegerField()
    seen_count = serializers.IntegerField()
    last_read_seq = serializers.IntegerField()
    unread_count = serializers.IntegerField()
    role = serializers.ChoiceField(Role.choices)
    muted = serializers.BooleanField()
    archived = serializers.BooleanField()
    last_message = Message(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class _Page(Fields):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ThreadPage(_Page):
    results = Thread(many=True)


class MessagePage(_Page):
    results = Message(many=True)


class ParticipantPage(_Page):
    results = Participant(many=True)


class EventPage(Fields):
    events = serializers.ListField(child=serializers.DictField())
    head = serializers.IntegerField()
    more = serializers.BooleanField()


class ReadMark(Fields):
    last_read_seq = serializers.IntegerField()
    seen_count = serializers.IntegerField()
    unread_count = serializers.IntegerField()


class NewThread(Fields):
    kind = serializers.ChoiceField(Kind.choices, default=Kind.DIRECT)
    participants = serializers.ListField(
        child=serializers.CharField(), help_text="Ids or addresses of members; without oneself."
    )
    subject = serializers.CharField(max_length=MAX_SUBJECT, required=False)
    metadata = serializers.DictField(required=False)


class ThreadChange(Fields):
    subject = serializers.CharField(max_length=MAX_SUBJECT, required=False)
    metadata = serializers.DictField(required=False)


class NewMessage(Fields):
    content = serializers.CharField(max_length=MAX_CONTENT)
    client_id = serializers.CharField(
        max_length=MAX_CLIENT_ID, required=False, help_text="The same one again answers the first result."
    )
    reply_to = serializers.UUIDField(required=False, allow_null=True)


class MessageChange(Fields):
    content = serializers.CharField(max_length=MAX_CONTENT)


class NewParticipants(Fields):
    participants = serializers.ListField(child=serializers.CharField())
    role = serializers.ChoiceField(Role.choices, default=Role.MEMBER)


class RoleChange(Fields):
    role = serializers.ChoiceField(Role.choices)


class ReadUpTo(Fields):
    seq = serializers.IntegerField(required=False)


THREAD_FILTERS = [
    OpenApiParameter("archived", OpenApiTypes.BOOL, description="Only what was put away, or the rest."),
    OpenApiParameter("kind", enum=Kind.values),
    OpenApiParameter("limit", OpenApiTypes.INT),
    OpenApiParameter("cursor", OpenApiTypes.STR),
]
MESSAGE_FILTERS = [
    OpenApiParameter("before", OpenApiTypes.INT, description="Only messages with a lower seq."),
    OpenApiParameter("after", OpenApiTypes.INT, description="Only messages with a higher seq."),
    OpenApiParameter("limit", OpenApiTypes.INT),
]
EVENT_FILTERS = [
    OpenApiParameter("since_seq", OpenApiTypes.INT, description="The last change that is known already."),
    OpenApiParameter("limit", OpenApiTypes.INT),
]
