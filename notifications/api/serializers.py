"""The JSON of notifications, templates, preferences and the catalog."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from notifications.models import Category, EventType, Template, TemplateContent, TemplateVersion
from notifications.models.catalog import KEY
from notifications.services.inbox_actions import MAX_TAGS
from notifications.services.templates import EDITABLE
from notifications.vocabulary import Channel, Priority


class AttachmentField(StrictSerializer):
    """A file; ``content`` is base64. What it may be is the service's to say."""

    filename = serializers.CharField(max_length=255, trim_whitespace=False)
    content_type = serializers.CharField(max_length=100, required=False, allow_blank=True)
    content = serializers.CharField(trim_whitespace=False)


class SendRequest(StrictSerializer):
    """A call to send. Deeper checks are the service's, so that every way in gets the same answers."""

    event_type = serializers.CharField(max_length=100, required=False)
    template = serializers.CharField(max_length=100, required=False)
    recipients = serializers.ListField(child=serializers.JSONField(), allow_empty=False, max_length=100_000)
    data = serializers.DictField(required=False)  # type: ignore[assignment]
    content = serializers.DictField(required=False)
    channels = serializers.ListField(
        child=serializers.CharField(max_length=20), required=False, allow_empty=False
    )
    priority = serializers.ChoiceField([one.key for one in Priority], required=False)
    scheduled_for = serializers.DateTimeField(required=False)
    scheduled_local = serializers.CharField(max_length=16, required=False)
    tags = serializers.ListField(child=serializers.CharField(), required=False, max_length=MAX_TAGS)
    reply_to = serializers.CharField(max_length=254, required=False)
    attachments = AttachmentField(many=True, required=False)


class BulkRequest(StrictSerializer):
    """Several sends in one call, all or nothing."""

    notifications = SendRequest(many=True, allow_empty=False)


class SentNotification(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    recipient = serializers.CharField()


class SendAnswer(serializers.Serializer[Any]):
    """What was accepted. ``notifications`` is empty while a large audience is being fanned out."""

    request_id = serializers.UUIDField()
    duplicate = serializers.BooleanField()
    recipient_count = serializers.IntegerField()
    notifications = SentNotification(many=True)


class InboxRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    seq = serializers.IntegerField()
    event_type = serializers.CharField()
    category = serializers.CharField()
    priority = serializers.ChoiceField([one.key for one in Priority])
    title = serializers.CharField()
    body = serializers.CharField()
    action_url = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    archived_at = serializers.DateTimeField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class Counts(serializers.Serializer[Any]):
    unread = serializers.IntegerField()
    unseen = serializers.IntegerField()
    inbox_seq = serializers.IntegerField()


class InboxChanges(serializers.Serializer[Any]):
    """What changed since a number; ``complete`` is false when it was too much and the list must be read anew."""

    results = InboxRow(many=True)
    inbox_seq = serializers.IntegerField()
    complete = serializers.BooleanField()


class MarkRequest(StrictSerializer):
    """Which rows: ``ids``, or ``all``."""

    ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=1000)
    all = serializers.BooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("all") == ("ids" in attrs):
            raise serializers.ValidationError({"ids": 'Give either "ids" or "all": true.'})
        return attrs


class Marked(serializers.Serializer[Any]):
    changed = serializers.IntegerField()


class Retry(StrictSerializer):
    """``even_if_unknown``: what the provider may have sent, as nobody knows, goes out again too, perhaps twice."""

    even_if_unknown = serializers.BooleanField(required=False, default=False)


class RoutingQuestion(StrictSerializer):
    """Would this person get it now?"""

    event_type = serializers.CharField(max_length=100)
    recipient = serializers.JSONField()
    channels = serializers.ListField(
        child=serializers.ChoiceField(Channel.choices), required=False, allow_empty=False
    )
    priority = serializers.ChoiceField([one.key for one in Priority], required=False)
    critical = serializers.BooleanField(required=False)
    scheduled_for = serializers.DateTimeField(required=False)
    scheduled_local = serializers.CharField(max_length=16, required=False)


class CategorySerializer(serializers.ModelSerializer[Category]):
    class Meta:
        model = Category
        fields = ("id", "key", "name", "description", "position")


class EventTypeSerializer(serializers.ModelSerializer[EventType]):
    """``category`` and ``template`` are named by their keys."""

    category = serializers.CharField(source="category.key")
    template = serializers.CharField(source="template.key", allow_null=True, required=False, default=None)
    priority = serializers.SerializerMethodField()

    class Meta:
        model = EventType
        fields = (
            "id",
            "key",
            "name",
            "description",
            "category",
            "template",
            "channels",
            "priority",
            "is_critical",
            "quiet_hours_policy",
            "duplicates_allowed",
            "is_digestible",
            "notify_on_event",
            "expires_after",
            "is_active",
        )

    def get_priority(self, row: EventType) -> str:
        return Priority(row.priority).key


class ContentSerializer(serializers.ModelSerializer[TemplateContent]):
    class Meta:
        model = TemplateContent
        fields = ("locale", *EDITABLE)


class VersionSerializer(serializers.ModelSerializer[TemplateVersion]):
    contents = ContentSerializer(many=True)

    class Meta:
        model = TemplateVersion
        fields = ("number", "status", "published_at", "contents")


class TemplateSerializer(serializers.ModelSerializer[Template]):
    layout = serializers.CharField(source="layout.key", allow_null=True, default=None)
    published_version = serializers.SerializerMethodField()
    draft_version = serializers.SerializerMethodField()

    class Meta:
        model = Template
        fields = (
            "id",
            "key",
            "name",
            "description",
            "kind",
            "layout",
            "variables",
            "published_version",
            "draft_version",
        )

    def get_published_version(self, row: Template) -> int | None:
        return self._number(row, "published")

    def get_draft_version(self, row: Template) -> int | None:
        return self._number(row, "draft")

    def _number(self, row: Template, status: str) -> int | None:
        return next((one.number for one in row.versions.all() if one.status == status), None)


class TemplateWrite(StrictSerializer):
    """A template with its whole draft."""

    key = serializers.CharField(max_length=100, validators=[KEY])
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    kind = serializers.ChoiceField(["message", "layout"], required=False)
    layout = serializers.CharField(max_length=100, required=False, allow_null=True)
    variables = serializers.DictField(child=serializers.DictField(), required=False)
    contents = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField(allow_blank=True, trim_whitespace=False)),
        allow_empty=False,
    )


class PreviewRequest(StrictSerializer):
    data = serializers.DictField(required=False)  # type: ignore[assignment]
    locale = serializers.CharField(max_length=16, required=False)
    user = serializers.UUIDField(required=False)
