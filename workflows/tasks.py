"""Celery's part: it says "look now"; what there is to do stands in PostgreSQL."""

from __future__ import annotations

import datetime as dt

from celery import shared_task

from notifications.services.lifecycle import run_job
from workflows import doorbell
from workflows.engine.live import live_engine
from workflows.services.http_calls import make_due_calls
from workflows.services.mass_starts import lead_on_mass_starts
from workflows.services.recorded_events import forget_events
from workflows.services.schedules import start_scheduled
from workflows.services.throttles import forget_passes


@shared_task(name=doorbell.TICK)
def tick() -> None:
    """Run the steps that are due. Ticks may overlap: each step is claimed by one."""
    doorbell.heard()
    live_engine().run_due()


@shared_task(name=doorbell.CALLS)
def make_calls() -> int:
    """Make the HTTP calls that steps asked for."""
    doorbell.calls_heard()
    return make_due_calls()


@shared_task(name="workflows.tasks.forget_throttle_passes")
def forget_throttle_passes() -> int:
    """Delete what throttles need no more."""
    return forget_passes()


@shared_task(name="workflows.tasks.start_for_many")
def start_for_many() -> int:
    """Begin what schedules say, and go on with starts for many people."""
    start_scheduled()
    return lead_on_mass_starts()


@shared_task(name="workflows.tasks.forget_recorded_events")
def forget_recorded_events() -> int | None:
    """Delete events that are older than their organizations want to keep them."""
    return run_job("workflow events", forget_events, lease=dt.timedelta(minutes=30))
