"""Periodic work: what Celery Beat rings, declared by the apps and adjustable by staff in the admin.

A schedule is written to django-celery-beat when it is first seen (after ``migrate``). Later runs keep the
interval or the time of day and the on/off switch as staff set them, and only bring the task's name and queue up to
date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from castcomm.common.registry import Registry

DAILY_EXPIRES = 6 * 3600  # seconds: work of the night is not done at noon because the broker was away


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """``task`` is a Celery task's name. Either ``every`` so many seconds (at least 1), or daily ``at`` "HH:MM" UTC."""

    task: str
    queue: str
    description: str
    every: int | None = None
    at: str | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.at is None):
            raise ValueError(f"{self.task}: every or at, not both.")


schedules: Registry[Schedule] = Registry("schedule")


def register_schedules(declared: Mapping[str, Schedule]) -> None:
    """Declare schedules by their names; call it from ``AppConfig.ready``."""
    for name, schedule in declared.items():
        schedules.register(name, schedule)


def write_schedules(**_signal: Any) -> None:
    """Make the declared schedules exist in the database; connected to ``post_migrate``."""
    for name, schedule in schedules.items():
        kept = {"task": schedule.task, "queue": schedule.queue, "description": schedule.description}
        row = PeriodicTask.objects.filter(name=name).first()
        if row is None:
            PeriodicTask.objects.get_or_create(name=name, defaults={**kept, **_rhythm(schedule)})
        elif any(getattr(row, field) != value for field, value in kept.items()):
            for field, value in kept.items():
                setattr(row, field, value)
            row.save()


def _rhythm(schedule: Schedule) -> dict[str, Any]:
    if schedule.at is not None:
        hour, minute = schedule.at.split(":")
        crontab, _ = CrontabSchedule.objects.get_or_create(
            minute=str(int(minute)), hour=str(int(hour)), day_of_week="*", day_of_month="*",
            month_of_year="*", timezone="UTC",
        )  # fmt: skip
        return {"crontab": crontab, "expire_seconds": DAILY_EXPIRES}
    assert schedule.every is not None
    interval, _ = IntervalSchedule.objects.get_or_create(
        every=schedule.every, period=IntervalSchedule.SECONDS
    )
    return {"interval": interval, "expire_seconds": max(10, schedule.every * 3)}
