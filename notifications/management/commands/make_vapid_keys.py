"""``manage.py make_vapid_keys``: a pair of keys for Web Push, as lines for ``.env``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from notifications.providers.push.vapid import make_keys


class Command(BaseCommand):
    help = (
        "Print a new pair of VAPID keys as lines for .env. Nothing is kept. Browsers are bound to the keys with which "
        "they subscribed: new keys mean new subscriptions."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        public, private = make_keys()
        self.stdout.write(f"VAPID_PUBLIC_KEY={public}")
        self.stdout.write(f"VAPID_PRIVATE_KEY={private}")
