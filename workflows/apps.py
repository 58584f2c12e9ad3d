from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "workflows"
    verbose_name = "Workflows"

    def ready(self) -> None:
        from castcomm.common.as_code.kinds import look_for_kinds_in
        from castcomm.common.schedules import register_schedules
        from workflows import subscribers  # noqa: F401
        from workflows.schedules import SCHEDULES
        from workflows.steps.base import load_step_types

        load_step_types()
        look_for_kinds_in("workflows.as_code")
        register_schedules(SCHEDULES)
