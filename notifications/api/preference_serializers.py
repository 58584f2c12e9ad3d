"""The JSON of preferences and consents."""

from __future__ import annotations

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from notifications.models import ConsentRecord
from notifications.services.consents import MAX_WORDING


class DefaultChanges(StrictSerializer):
    """Switches to set. What is in them is the service's to check, so that every way in gets the same answers."""

    set = serializers.ListField(child=serializers.DictField(), required=False)


class PreferenceChanges(DefaultChanges):
    """``wording`` is what the person was shown, for the record, where a page of one's own asks."""

    quiet_hours = serializers.DictField(required=False)
    wording = serializers.CharField(required=False, allow_blank=True, max_length=MAX_WORDING)


class ConsentJson(serializers.ModelSerializer[ConsentRecord]):
    """One decision, as the person themselves may see it."""

    class Meta:
        model = ConsentRecord
        fields = (
            "id",
            "created_at",
            "scope",
            "key",
            "channel",
            "granted",
            "source",
            "wording",
            "ip_address",
            "user_agent",
            "delivery_id",
        )


class ConsentJsonByLink(ConsentJson):
    """The same for who came by the link in a mail, which may have been passed on: without addresses and devices."""

    class Meta(ConsentJson.Meta):
        fields = tuple(name for name in ConsentJson.Meta.fields if name not in ("ip_address", "user_agent"))  # type: ignore[assignment]
