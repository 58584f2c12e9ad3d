"""When periodic work runs: superusers change the rhythm and switch it off and on; what runs is the code's.

The pages of django-celery-beat let people name any task with any arguments; these do not.
"""

from __future__ import annotations

from typing import Any, ClassVar

import structlog
from celery import current_app
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm, ValidationError
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from kombu.exceptions import OperationalError
from unfold.admin import ModelAdmin
from unfold.decorators import display

from accounts.admin.tenancy import is_superuser

log = structlog.get_logger(__name__)

for model in (PeriodicTask, IntervalSchedule, CrontabSchedule, ClockedSchedule, SolarSchedule):
    admin.site.unregister(model)


class SuperusersAdmin(ModelAdmin):  # type: ignore[misc]
    """Of the whole deployment, so no organization's staff."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ScheduleForm(ModelForm):  # type: ignore[type-arg]
    """Either an interval or a time of day."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "interval" in cleaned and "crontab" in cleaned:
            both = bool(cleaned["interval"]) + bool(cleaned["crontab"])
            if both != 1:
                self.add_error("interval", ValidationError("Choose an interval or a crontab, one of them."))
        return cleaned


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(SuperusersAdmin):
    """The declared schedules (``castcomm.common.schedules``). Beat sees a change within seconds."""

    form = ScheduleForm
    list_display = ("name", "rhythm", "enabled", "last_run_at", "description")
    list_select_related = ("interval", "crontab")
    ordering = ("name",)
    search_fields = ("name", "task")
    fields = ("name", "description", "task", "queue", "enabled", "interval", "crontab", "last_run_at")
    readonly_fields = ("name", "description", "task", "queue", "last_run_at")
    actions: ClassVar[Any] = ("run_now",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description="when")
    def rhythm(self, row: PeriodicTask) -> str:
        return str(row.interval or row.crontab or "")

    @admin.action(description="Run now")
    def run_now(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Ring once for each; a job that is running anyway is not run twice."""
        try:
            for row in queryset.order_by("name"):
                current_app.send_task(row.task, queue=row.queue, retry=False)
        except OperationalError:
            log.warning("schedules.broker_away")
            self.message_user(request, "The broker is away: try it again later.", messages.ERROR)
            return
        self.message_user(request, "They will run in a moment.", messages.SUCCESS)


@admin.register(IntervalSchedule)
class IntervalAdmin(SuperusersAdmin):
    """Intervals to choose from."""

    list_display = ("__str__", "every", "period")


@admin.register(CrontabSchedule)
class CrontabAdmin(SuperusersAdmin):
    """Times of day to choose from."""

    list_display = ("__str__", "minute", "hour", "day_of_week", "timezone")
