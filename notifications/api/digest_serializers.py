"""The JSON of digests."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from notifications.models import DigestFrequency
from notifications.models.digests import WindowStatus
from notifications.services.digests.preview import FREQUENCIES


class DigestChoiceJson(serializers.Serializer[Any]):
    frequency = serializers.ChoiceField(DigestFrequency.choices)
    at = serializers.CharField(help_text="The person's own time, such as 09:00; counts for daily and weekly.")
    weekday = serializers.IntegerField(help_text="0 is Monday; counts for weekly.")


class EffectiveDigest(DigestChoiceJson):
    set_by = serializers.ChoiceField(["person", "organization", "nobody"])


class DigestOf(serializers.Serializer[Any]):
    """What is set (null: nothing), what it comes to, and when the next one would go out."""

    setting = DigestChoiceJson(allow_null=True)
    effective = EffectiveDigest()
    next_at = serializers.DateTimeField(allow_null=True)


class DigestOfCategory(DigestOf):
    key = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_digestible = serializers.BooleanField(help_text="Whether anything of it may go into a digest.")


class DigestSettings(serializers.Serializer[Any]):
    time_zone = serializers.CharField()
    frequencies = serializers.ListField(child=serializers.CharField())
    all = DigestOf()
    categories = DigestOfCategory(many=True)


class DigestChanges(StrictSerializer):
    """Settings to make. What each may be is the service's to say."""

    set = serializers.ListField(
        child=serializers.JSONField(),
        help_text='[{"category": key or null, "frequency": … or null, "at": "09:00", "weekday": 0}]',
    )


class DigestItemJson(serializers.Serializer[Any]):
    position = serializers.IntegerField(help_text="From 1, in the order in which they came; without gaps.")
    notification = serializers.UUIDField()
    title = serializers.CharField()
    body = serializers.CharField()
    action_url = serializers.CharField(help_text="What the notification opens, or empty.")
    event_type = serializers.CharField()
    category = serializers.CharField()
    created_at = serializers.DateTimeField(help_text="When it came.")


class DigestWindowJson(serializers.Serializer[Any]):
    """Something that waits until ``closes_at``, or what became of it."""

    id = serializers.UUIDField()
    cadence = serializers.CharField(help_text="hourly, daily@09:00 or weekly.0@09:00 (0 is Monday).")
    frequency = serializers.ChoiceField(FREQUENCIES)
    status = serializers.ChoiceField(WindowStatus.choices)
    time_zone = serializers.CharField(help_text="Whose clocks the window closes by.")
    closes_at = serializers.DateTimeField()
    item_count = serializers.IntegerField(help_text="All that came into it, cancelled ones too.")
    sent_count = serializers.IntegerField(allow_null=True, help_text="Once it is closed.")
    notification = serializers.UUIDField(allow_null=True, help_text="The digest itself, once it is sent.")


class OpenDigest(DigestWindowJson):
    items = DigestItemJson(many=True)


class OpenDigests(serializers.Serializer[Any]):
    results = OpenDigest(many=True)


class FlushedDigests(serializers.Serializer[Any]):
    results = DigestWindowJson(many=True)


class DigestPreview(serializers.Serializer[Any]):
    """A mail as it would be; nothing is sent."""

    subject = serializers.CharField()
    html = serializers.CharField()
    text = serializers.CharField()
    count = serializers.IntegerField(help_text="Notifications in it.")
    is_example = serializers.BooleanField(help_text="Nothing waits, so it shows what a digest looks like.")


class TestDigest(StrictSerializer):
    """``to`` is an address or a member's id."""

    to = serializers.CharField(max_length=254)
    frequency = serializers.ChoiceField(FREQUENCIES, default="daily")
