"""Every module that hears of domain events by itself: whoever adds a subscriber adds its file here."""

from notifications.services import delivery_news, zone_changes
from notifications.services.digests import moving
from notifications.services.smart_send import engagement

__all__ = ["delivery_news", "engagement", "moving", "zone_changes"]
