"""The JSON of the inbox."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from notifications.api.serializers import InboxRow
from notifications.services.inbox import ACTS
from notifications.services.snoozing import PRESETS


class InboxAction(serializers.Serializer[Any]):
    """A button of a row; ``done_at`` says when it was used."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    url = serializers.CharField()
    style = serializers.ChoiceField(["primary", "secondary"])  # type: ignore[assignment]
    done_at = serializers.DateTimeField(allow_null=True)


class InboxItem(InboxRow):
    """A row of the inbox with its tags and buttons."""

    tags = serializers.ListField(child=serializers.CharField())
    actions = InboxAction(many=True)


class Counted(serializers.Serializer[Any]):
    unread = serializers.IntegerField()
    unseen = serializers.IntegerField()


class InboxCounts(Counted):
    """``by_category`` and ``by_tag`` come when they are asked for."""

    inbox_seq = serializers.IntegerField()
    by_category = serializers.DictField(child=Counted(), required=False)
    by_tag = serializers.DictField(child=Counted(), required=False)


class SnoozeRequest(StrictSerializer):
    """Either ``until``, ISO 8601 with a zone, or ``preset``. What they may be is the service's to say."""

    until = serializers.CharField(max_length=40, required=False)
    preset = serializers.CharField(
        max_length=20, required=False, help_text=f"{', '.join(PRESETS)}, in the person's time zone."
    )


class ActRequest(SnoozeRequest):
    """What to do to which rows: ``ids``, or ``all`` of a category or with a tag."""

    act = serializers.ChoiceField(ACTS)
    ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    all = serializers.BooleanField(required=False, default=False)
    category = serializers.CharField(max_length=100, required=False)
    tag = serializers.CharField(max_length=40, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("all") == ("ids" in attrs):
            raise serializers.ValidationError({"ids": 'Give either "ids" or "all": true.'})
        allowed = {"act", "ids", "all"}
        if attrs["all"]:
            allowed |= {"category", "tag"}
        if attrs["act"] == "snooze":
            allowed |= {"until", "preset"}
        wrong = {name: "This does not go with the other fields." for name in attrs if name not in allowed}
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs
