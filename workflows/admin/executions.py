"""Executions: what happened, step by step, with the notifications that were sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.tenancy import TenantAdmin
from castcomm.common.errors import CastCommError
from workflows.models import Execution, ExecutionStatus, StepStatus
from workflows.selectors import timeline_of
from workflows.services.executions import cancel_execution, retry_execution
from workflows.timelines import TimelineStep

_LABELS = {
    ExecutionStatus.RUNNING: "info",
    ExecutionStatus.COMPLETED: "success",
    ExecutionStatus.STOPPED: "success",
    ExecutionStatus.FAILED: "danger",
    ExecutionStatus.CANCELLED: "warning",
}


class CancelForm(BaseDialogForm):  # type: ignore[misc]
    """Why an execution is cancelled."""

    reason = forms.CharField(max_length=500, required=False, widget=UnfoldAdminTextInputWidget)


@admin.register(Execution)
class ExecutionAdmin(TenantAdmin):
    """A record: only cancelling and trying again change it."""

    read_only = True
    list_display = ("started_at", "workflow", "user", "status_label", "event", "source", "finished_at")
    list_display_links = ("started_at", "workflow")
    list_filter = ("status", "organization", ("workflow", admin.RelatedOnlyFieldListFilter), "started_at")
    list_select_related = ("workflow", "user")
    search_fields = ("id", "user__email", "workflow__name", "cancellation_key")
    ordering = ("-created_at", "-id")
    actions_detail = ("cancel", "try_again")
    fields = (
        "workflow", "version", "user", "status_label", "reason", "timeline", "event", "source", "shown_data",
        "cancellation_key", "idempotency_key", "started_at", "finished_at", "id",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("workflow__definition")

    def has_act_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may cancel and try again: staff of the organization that owns the execution."""
        execution = self.get_object(request, object_id) if object_id else None
        return execution is not None and self.has_view_permission(request, execution)

    @display(description="status", ordering="status", label=_LABELS)
    def status_label(self, execution: Execution) -> str:
        return execution.status

    @display(description="data")
    def shown_data(self, execution: Execution) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(execution.data, indent=2, ensure_ascii=False))

    @display(description="steps")
    def timeline(self, execution: Execution) -> SafeString:
        rows = format_html_join("", _ROW, (_cells(step) for step in timeline_of(execution)))
        return format_html(_TABLE, rows)

    @action(
        description="Cancel",
        url_path="cancel",
        permissions=["act"],
        dialog={
            "title": "Cancel this execution",
            "description": "Steps that wait are dropped. What has been sent stays sent.",
            "form_class": CancelForm,
            "form_submit_text": "Cancel the execution",
        },
    )
    def cancel(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        def act(execution: Execution) -> str:
            done = cancel_execution(execution=execution, reason=form.cleaned_data["reason"])
            stopped = ", ".join(done.stopped + done.never_begun) or "none"
            sent = len(done.notifications)
            return f"Cancelled. Steps that will not run: {stopped}. Notifications sent before: {sent}."

        return self._act_on(request, object_id, act)

    @action(
        description="Try again",
        url_path="try-again",
        permissions=["act"],
        dialog={
            "title": "Try the failed step again",
            "description": "The execution goes on where it failed.",
            "form_class": None,
            "form_submit_text": "Try again",
        },
    )
    def try_again(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        def act(execution: Execution) -> str:
            return f"Step {retry_execution(execution=execution).path} is due again."

        return self._act_on(request, object_id, act)

    def _act_on(self, request: HttpRequest, object_id: str, act: Callable[[Execution], str]) -> HttpResponse:
        execution = self.get_object(request, object_id)
        assert execution is not None
        try:
            self.message_user(request, act(execution), messages.SUCCESS)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
        # The dialog is loaded by htmx, which is told to go on to a page by this header.
        address = reverse("admin:workflows_execution_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": address})


_TABLE = (
    '<table class="w-full text-left"><thead><tr><th scope="col">Step</th><th scope="col">State</th>'
    '<th scope="col">When</th><th scope="col">What came of it</th></tr></thead><tbody>{}</tbody></table>'
)
_ROW = '<tr><td class="pr-4 align-top">{} {}</td><td class="pr-4 align-top">{}</td>\
<td class="pr-4 align-top">{}</td><td class="align-top">{} {}</td></tr>'


def _cells(step: TimelineStep) -> tuple[Any, ...]:
    state = step.status.replace("_", " ")
    moment = step.finished_at
    if step.status == StepStatus.WAITING:
        state, moment = "waiting until", step.due_at
    when = formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT") if moment else ""
    outcome = step.error or (json.dumps(step.result, ensure_ascii=False) if step.result else "")
    return step.path, step.name or step.type, state, when, outcome, _notification_link(step)


def _notification_link(step: TimelineStep) -> SafeString | str:
    if step.notification_id is None:
        return ""
    address = reverse("admin:notifications_notification_change", args=[step.notification_id])
    return format_html('<a href="{}">notification</a>', address)
