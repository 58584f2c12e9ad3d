"""Every module that hears of domain events by itself: whoever adds a subscriber adds its file here."""

from notifications.services import delivery_news, zone_changes
from notifications.services.digests import moving

__all__ = ["delivery_news", "moving", "zone_changes"]
