"""The Django application of everything that is sent to people."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

# These register themselves: with Django's checks, in the registries, and for domain events.
REGISTERING = (
    "notifications.alert_checks",
    "notifications.checks",
    "notifications.push_checks",
    "notifications.channels.registered",
    "notifications.webhooks.registered",
    "notifications.subscriptions",
)


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from castcomm.common.as_code.kinds import look_for_kinds_in
        from castcomm.common.schedules import register_schedules
        from notifications import realtime
        from notifications.providers import registered as providers
        from notifications.schedules import SCHEDULES
        from notifications.services import catalog, customer_webhooks, provider_accounts
        from notifications.services.smart_send import engagement

        for module in REGISTERING:
            import_module(module)
        providers.expect_known_names()
        provider_accounts.watch_rows()
        customer_webhooks.watch_listeners()
        engagement.watch_policies()
        catalog.watch_changes()
        realtime.register()
        register_schedules(SCHEDULES)
        look_for_kinds_in("notifications.as_code")
