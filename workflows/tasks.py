"""Celery's part: it says "look now"; what there is to do stands in PostgreSQL."""

from __future__ import annotations

from celery import shared_task

from workflows import doorbell
from workflows.engine.live import live_engine


@shared_task(name=doorbell.TICK)
def tick() -> None:
    """Run the steps that are due. Ticks may overlap: each step is claimed by one."""
    doorbell.heard()
    live_engine().run_due()
