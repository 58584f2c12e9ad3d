"""Periodic work: what Celery Beat rings, declared by the apps and adjustable by staff in the admin.

A schedule is written to django-celery-beat when it is first seen (after ``migrate``). Later runs keep the
interval and the on/off switch as staff set them, and only bring the task's name and queue up to date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django_celery_beat.models import IntervalSchedule, PeriodicTask

from castcomm.common.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """``task`` is a Celery task's name; ``every`` is in seconds, at least 1."""

    task: str
    every: int
    queue: str
    description: str


schedules: Registry[Schedule] = Registry("schedule")


def register_schedule(name: str, *, task: str, every: int, queue: str, description: str) -> None:
    """Declare a schedule; call it from ``AppConfig.ready``."""
    schedules.register(name, Schedule(task=task, every=every, queue=queue, description=description))


def write_schedules(**_signal: Any) -> None:
    """Make the declared schedules exist in the database; connected to ``post_migrate``."""
    for name, schedule in schedules.items():
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=schedule.every, period=IntervalSchedule.SECONDS
        )
        kept = {"task": schedule.task, "queue": schedule.queue, "description": schedule.description}
        row, created = PeriodicTask.objects.get_or_create(
            name=name, defaults={**kept, "interval": interval, "expire_seconds": max(10, schedule.every * 3)}
        )
        if not created and any(getattr(row, field) != value for field, value in kept.items()):
            for field, value in kept.items():
                setattr(row, field, value)
            row.save()
