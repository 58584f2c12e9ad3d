from typing import Any

from django.apps import AppConfig
from django.db.models import Model
from django.db.models.signals import post_delete, post_save


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from castcomm.common.schedules import register_schedule
        from castcomm.monitoring.checks import expect_choice
        from castcomm.realtime import sessions, topics
        from notifications import (  # noqa: F401 - checks register themselves
            alert_checks,
            checks,
            push_checks,
            realtime,
        )
        from notifications.channels.base import channels
        from notifications.channels.email import EmailChannel
        from notifications.channels.push import PushChannel
        from notifications.channels.sms import SmsChannel
        from notifications.providers import console  # noqa: F401 - registers itself
        from notifications.providers.base import email_providers, push_providers, sms_providers
        from notifications.providers.email import (  # noqa: F401 - register themselves
            amazon_ses,
            mailgun,
            postmark,
            resend,
            sendgrid,
            smtp,
        )
        from notifications.providers.push import devices  # noqa: F401 - registers the kinds with it
        from notifications.providers.sms import amazon_sns, twilio  # noqa: F401 - register themselves
        from notifications.services import (
            catalog,
            customer_webhooks,
            delivery_news,  # noqa: F401 - subscribes itself
            provider_accounts,
        )
        from notifications.webhooks import registered  # noqa: F401 - the parsers and their check register themselves

        expect_choice("EMAIL_PROVIDER", email_providers.keys, number="E020")
        expect_choice("EMAIL_PRIMARY_PROVIDER", email_providers.keys, number="E019")
        expect_choice("SMS_PROVIDER", sms_providers.keys, number="E021")
        expect_choice("PUSH_PROVIDER", push_providers.keys, number="E022")
        provider_accounts.watch_rows()
        customer_webhooks.watch_listeners()
        for channel in (EmailChannel(), SmsChannel(), PushChannel()):
            channels.register(channel.key, channel)

        def touched(sender: Any, instance: Any, **_signal: Any) -> None:
            if sender in catalog.DEFAULTS_MODELS and instance.user_id is not None:
                return
            catalog.touch_catalog(catalog.organization_of(instance))

        changing: tuple[type[Model], ...] = (*catalog.CATALOG_MODELS, *catalog.DEFAULTS_MODELS)
        for model in changing:
            post_save.connect(
                touched, sender=model, weak=False, dispatch_uid=f"catalog-save-{model.__name__}"
            )
            post_delete.connect(
                touched, sender=model, weak=False, dispatch_uid=f"catalog-delete-{model.__name__}"
            )

        sessions.register_greeting("inbox", realtime.greeting)
        sessions.register_heads(realtime.greeting)
        topics.register_kind("user", realtime.INBOX_TOPIC)

        register_schedule(
            "Deliveries: sweep",
            task="notifications.tasks.sweep",
            every=1,
            queue="urgent",
            description="Rings for what is due and takes back what dead workers held.",
        )
        register_schedule(
            "Webhooks: sweep",
            task="notifications.tasks.sweep_webhooks",
            every=2,
            queue="urgent",
            description="Rings for what customers' endpoints are to be told.",
        )
        register_schedule(
            "Webhooks: forget",
            task="notifications.tasks.prune_webhooks",
            every=3600,
            queue="maintenance",
            description="Deletes outgoing webhooks after 30 days.",
        )
        register_schedule(
            "Push: forget unused devices",
            task="notifications.tasks.forget_unused_devices",
            every=604_800,
            queue="maintenance",
            description="Removes devices that have been silent for PUSH_UNUSED_DAYS.",
        )
        register_schedule(
            "Idempotency keys: forget",
            task="notifications.tasks.forget_idempotent_requests",
            every=3600,
            queue="maintenance",
            description="Deletes answers kept for Idempotency-Key after a day.",
        )
        register_schedule(
            "Inbox: unsnooze",
            task="notifications.tasks.unsnooze",
            every=20,
            queue="normal",
            description="Brings back what people put aside until now.",
        )
        register_schedule(
            "Inbox: expire",
            task="notifications.tasks.expire",
            every=300,
            queue="maintenance",
            description="Puts what has expired out of the inboxes, and gives up what waits of it.",
        )
        register_schedule(
            "Inbox: archive",
            task="notifications.tasks.archive",
            at="02:00",
            queue="maintenance",
            description="Archives what was read, or left unread, for as long as the retention policy says.",
        )
        register_schedule(
            "Retention: delete",
            task="notifications.tasks.prune",
            at="03:00",
            queue="maintenance",
            description="Deletes what is older than the retention policy says.",
        )
