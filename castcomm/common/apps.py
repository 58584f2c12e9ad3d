from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class CommonConfig(AppConfig):
    name = "castcomm.common"
    label = "common"
    verbose_name = "Common"

    def ready(self) -> None:
        from castcomm.common.schedules import write_schedules

        # Sent once per app, in order; the schedules' own tables are there once Beat's app has migrated.
        post_migrate.connect(
            write_schedules,
            sender=apps.get_app_config("django_celery_beat"),
            dispatch_uid="castcomm.schedules",
        )
