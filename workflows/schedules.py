"""Every piece of periodic work of this app."""

from castcomm.common.schedules import Schedule
from workflows import doorbell

SCHEDULES = {
    "workflows: run due steps": Schedule(
        task=doorbell.TICK,
        every=1,
        queue=doorbell.QUEUE,
        description="Runs the workflow steps whose time has come.",
    ),
    "workflows: make HTTP calls": Schedule(
        task=doorbell.CALLS,
        every=2,
        queue=doorbell.CALLS_QUEUE,
        description="Makes the calls of HTTP steps that nobody was asked to make, and those of dead workers.",
    ),
    "workflows: start for many": Schedule(
        task="workflows.tasks.start_for_many",
        every=5,
        queue="normal",
        description="Starts workflows by their schedules, and goes on with starts for many people.",
    ),
    "workflows: forget throttles": Schedule(
        task="workflows.tasks.forget_throttle_passes",
        every=3600,
        queue="maintenance",
        description="Deletes what throttle steps counted and need no more.",
    ),
    "workflows: forget events": Schedule(
        task="workflows.tasks.forget_recorded_events",
        at="03:15",
        queue="maintenance",
        description="Deletes the events that are older than the retention policy says.",
    ),
}
