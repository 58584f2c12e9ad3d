"""The Django application that watches the others: checks, health, metrics, logs."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "castcomm.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"

    def ready(self) -> None:
        import_module("castcomm.monitoring.checks")
