"""The Django application that loads the events every socket knows."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "castcomm.realtime"
    label = "realtime"
    verbose_name = "Realtime"

    def ready(self) -> None:
        import_module("castcomm.realtime.core_events")
