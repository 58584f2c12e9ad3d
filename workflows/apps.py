from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "workflows"
    verbose_name = "Workflows"

    def ready(self) -> None:
        from castcomm.common.as_code.kinds import look_for_kinds_in
        from castcomm.common.schedules import Schedule, register_schedules
        from workflows import doorbell, subscribers  # noqa: F401
        from workflows.steps.base import load_step_types

        load_step_types()
        look_for_kinds_in("workflows.as_code")
        schedule = Schedule(
            task=doorbell.TICK,
            every=1,
            queue=doorbell.QUEUE,
            description="Runs the workflow steps whose time has come.",
        )
        register_schedules({"workflows: run due steps": schedule})
