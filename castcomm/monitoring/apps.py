from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "castcomm.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"
