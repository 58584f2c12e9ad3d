"""The JSON of topics, lists and broadcasts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from notifications.models import Broadcast, BroadcastPhase, ListMember, RequestStatus
from notifications.services.audiences.lists import MAX_ENTRIES
from notifications.services.audiences.steering import Progress, progress_of
from notifications.services.audiences.topics import MAX_SUBSCRIBERS


class ListWrite(StrictSerializer):
    key = serializers.CharField(max_length=100)
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=5_000, required=False, allow_blank=True)


class TopicWrite(ListWrite):
    """``is_open``: people may subscribe themselves."""

    is_open = serializers.BooleanField(required=False)


class ListChange(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=5_000, required=False, allow_blank=True)


class TopicChange(ListChange):
    is_open = serializers.BooleanField(required=False)


class ListRow(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    created_at = serializers.DateTimeField()
    members = serializers.SerializerMethodField()

    def get_members(self, row: Any) -> int:
        known: int | None = getattr(row, "member_count", None)
        return row.members.count() if known is None else known


class TopicRow(serializers.Serializer[Any]):
    """``subscribed`` is whether the caller is; null for an API key."""

    key = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_open = serializers.BooleanField()
    subscribed = serializers.BooleanField(allow_null=True)


class Subscription(serializers.Serializer[Any]):
    subscribed = serializers.BooleanField()


class People(StrictSerializer):
    """Members by their ids or e-mail addresses."""

    people = serializers.ListField(
        child=serializers.JSONField(), allow_empty=False, max_length=MAX_SUBSCRIBERS
    )


class Entries(StrictSerializer):
    """Members by id, or any addresses: as recipients are named."""

    members = serializers.ListField(child=serializers.JSONField(), allow_empty=False, max_length=MAX_ENTRIES)


class Changed(serializers.Serializer[Any]):
    """How many were not there before, or were there."""

    changed = serializers.IntegerField()


class SubscriberRow(serializers.Serializer[Any]):
    user = serializers.UUIDField(source="user_id")
    email = serializers.CharField(source="user.email")
    source = serializers.CharField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()


class MemberRow(serializers.ModelSerializer[ListMember]):
    """One entry: ``user``, or a bare ``address``."""

    user = serializers.UUIDField(source="user_id", allow_null=True)
    email = serializers.CharField(source="user.email", default=None)

    class Meta:
        model = ListMember
        fields = ("user", "email", "address", "created_at")


class BroadcastRow(serializers.ModelSerializer[Broadcast]):
    """``percent`` is of the recipients that have their notification, not of what has arrived."""

    request_id = serializers.UUIDField()
    event_type = serializers.CharField(source="request.event_type.key")
    status = serializers.ChoiceField(source="request.status", choices=RequestStatus.choices)
    phase = serializers.ChoiceField(choices=BroadcastPhase.choices)
    percent = serializers.SerializerMethodField()

    class Meta:
        model = Broadcast
        fields: tuple[str, ...] = (
            "id", "request_id", "event_type", "audience", "status", "phase", "total", "written", "percent",
            "created_at", "paused_at", "finished_at",
        )  # fmt: skip

    def get_percent(self, row: Broadcast) -> int:
        return Progress(status=row.request.status, written=row.written, total=row.total).percent


class BroadcastDetail(BroadcastRow):
    """With its deliveries by channel and status, the present rates per minute, and the seconds that are left."""

    deliveries = serializers.DictField()
    written_per_minute = serializers.IntegerField()
    sent_per_minute = serializers.IntegerField()
    seconds_left = serializers.IntegerField(allow_null=True)

    class Meta(BroadcastRow.Meta):
        fields = (
            *BroadcastRow.Meta.fields, "deliveries", "written_per_minute", "sent_per_minute", "seconds_left",
        )  # fmt: skip

    def to_representation(self, row: Broadcast) -> dict[str, Any]:
        return {**BroadcastRow(row).data, **progress_json(progress_of(row))}


def progress_json(progress: Progress) -> dict[str, Any]:
    """What the progress adds to a broadcast."""
    left = progress.seconds_left
    return {
        "deliveries": progress.deliveries,
        "written_per_minute": round(progress.write_rate * 60),
        "sent_per_minute": round(progress.send_rate * 60),
        "seconds_left": round(left) if left is not None else None,
    }


class Stopped(serializers.Serializer[Any]):
    """How many deliveries were held, go on, or were stopped."""

    deliveries = serializers.IntegerField()
