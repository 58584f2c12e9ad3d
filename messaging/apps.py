from importlib import import_module

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Messaging"

    def ready(self) -> None:
        import_module("messaging.realtime.chat_events")
        import_module("messaging.realtime.thread_topic")
