"""Schedules: a row per workflow says when it starts next; each occurrence is started once."""

from __future__ import annotations

import datetime as dt
import itertools

import structlog
from celery.schedules import crontab
from django.db import transaction

from castcomm.common.clock import now as current_time
from notifications.services.local_times import moment_of, zone_of
from workflows.models import MassStart, Workflow, WorkflowSchedule

log = structlog.get_logger(__name__)

FARTHEST = dt.timedelta(days=366 * 8)  # 29 February comes at least so often


def next_occurrence(cron: str, *, zone: str, after: dt.datetime) -> dt.datetime | None:
    """The first moment after ``after`` that the five fields name by the clocks of ``zone``; None when there is none.

    A time that the clocks skip is the end of the gap, one that comes twice its first.
    """
    fields = crontab.from_string(cron)
    times = [dt.time(h, m) for h, m in itertools.product(sorted(fields.hour), sorted(fields.minute))]
    first = day = after.astimezone(zone_of(zone)).date()
    while day - first < FARTHEST:
        # Cron counts from Sunday.
        if (
            day.month in fields.month_of_year
            and day.day in fields.day_of_month
            and day.isoweekday() % 7 in fields.day_of_week
        ):
            moments = (moment_of(dt.datetime.combine(day, time), zone) for time in times)
            found = next((moment for moment in moments if moment > after), None)
            if found is not None:
                return found
        day += dt.timedelta(days=1)
    return None


def write_schedule(workflow: Workflow) -> None:
    """Make the schedule that of the current version; part of the transaction that publishes it."""
    version = workflow.current_version
    trigger = version.definition.get("trigger", {}) if version is not None else {}
    upcoming = None
    if trigger.get("type") == "schedule":
        zone = trigger.get("timeZone", "UTC")
        upcoming = next_occurrence(trigger["cron"], zone=zone, after=current_time())
    if upcoming is None:
        WorkflowSchedule.objects.filter(workflow=workflow).delete()
        return
    fields = {
        "cron": trigger["cron"],
        "time_zone": zone,
        "audience": trigger["audience"],
        "next_at": upcoming,
    }
    WorkflowSchedule.objects.update_or_create(
        workflow=workflow, defaults={"organization_id": workflow.organization_id, **fields}
    )


def start_scheduled(*, now: dt.datetime | None = None) -> int:
    """Begin a start for each schedule that is due; returns how many. What was missed is made up for once."""
    moment = now or current_time()
    begun = 0
    while _begin_one(moment):
        begun += 1
    return begun


def _begin_one(now: dt.datetime) -> bool:
    with transaction.atomic():
        due = WorkflowSchedule.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            next_at__lte=now
        )
        schedule = due.select_related("workflow").order_by("next_at").first()
        if schedule is None:
            return False
        if schedule.workflow.is_active:
            MassStart.objects.get_or_create(
                workflow=schedule.workflow,
                occurrence=f"schedule:{schedule.next_at.isoformat()}",
                defaults={
                    "organization_id": schedule.organization_id,
                    "source": "schedule",
                    "audience": schedule.audience,
                },
            )
        upcoming = next_occurrence(schedule.cron, zone=schedule.time_zone, after=now)
        schedule.last_at = schedule.next_at
        if upcoming is None:
            schedule.delete()
        else:
            schedule.next_at = upcoming
            schedule.save(update_fields=["last_at", "next_at"])
    return True
