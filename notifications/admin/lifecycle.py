"""How long things are kept, and what the periodic jobs last did."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display

from accounts.admin.tenancy import ADMIN_ROLES, TenantAdmin, TenantScopeMixin, is_superuser
from castcomm.common.clock import now
from notifications.models import LifecycleJob, RetentionPolicy
from notifications.services.retention_periods import DEFAULTS, default_days

STATE_COLOURS = {"Done": "success", "Running": "info", "Failed": "danger", "Broken off": "warning"}


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(TenantAdmin):
    """One per organization; an empty period is for ever, and not the deployment's default."""

    change_roles = ADMIN_ROLES
    list_display = (
        "organization", "archive_read_after", "archive_unread_after", "keep_archived", "keep_notifications",
        "keep_events", "updated_at",
    )  # fmt: skip
    list_select_related = ("organization",)
    fields = (
        "organization", "archive_read_after", "archive_unread_after", "keep_archived", "keep_notifications",
        "keep_events",
    )  # fmt: skip
    actions: ClassVar[Any] = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("organization",) if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new policy begins with what holds without one."""
        initial = super().get_changeform_initial_data(request)
        return {**{field: default_days(field) for field in DEFAULTS}, **initial}


@admin.register(LifecycleJob)
class LifecycleJobAdmin(TenantScopeMixin, ModelAdmin):  # type: ignore[misc]
    """The last run of each job. They work for all organizations, so superusers alone see them."""

    read_only = True
    list_display = ("name", "state", "started_at", "finished_at", "changed", "error_begins")
    fields = ("name", "state", "started_at", "finished_at", "changed", "cursor", "lease_until", "error")
    readonly_fields = fields
    actions: ClassVar[Any] = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = LifecycleJob.objects.order_by("name")
        return rows if is_superuser(request) else rows.none()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    @display(description="state", label=STATE_COLOURS)
    def state(self, job: LifecycleJob) -> str:
        if job.error:
            return "Failed"
        if job.finished_at is not None:
            return "Done"
        held = job.lease_until is not None and job.lease_until > now()
        return "Running" if held else "Broken off"

    @display(description="error")
    def error_begins(self, job: LifecycleJob) -> str:
        return job.error[:100]
