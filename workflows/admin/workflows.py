"""Workflows: edit the draft, publish it, see its versions and how its executions go."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from accounts.admin.dialogs import ask, go_on, page_of
from accounts.admin.tenancy import TenantAdmin, TenantTabularInline
from castcomm.common.errors import CastCommError
from workflows.admin.forms import PUBLISH, WorkflowForm
from workflows.admin.publishing import publishing_page
from workflows.models import Workflow, WorkflowVersion
from workflows.services.drafts import create_workflow, delete_workflow, update_workflow
from workflows.services.pausing import pause_workflow, resume_workflow
from workflows.services.publishing import publish_workflow

_PAUSE = ask(
    "Pause this workflow?",
    "No step begins until you resume it; what a worker is doing right now is finished. It can still be started.",
    "Pause",
)
_RESUME = ask("Let it go on?", "What has become due meanwhile is run now.", "Resume")


class VersionInline(TenantTabularInline):
    """What was published, newest first."""

    model = WorkflowVersion
    organization_path = "workflow__organization"
    read_only = True
    fields = ("number", "published_at", "published_by", "published_definition", "back_to_it")
    readonly_fields = fields
    verbose_name_plural = "versions"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("published_by")

    @display(description="definition")
    def published_definition(self, version: WorkflowVersion) -> SafeString:
        text = json.dumps(version.definition, indent=2, ensure_ascii=False)
        return format_html("<details><summary>Show</summary><pre>{}</pre></details>", text)

    @display(description="go back")
    def back_to_it(self, version: WorkflowVersion) -> SafeString:
        page = reverse("admin:workflows_workflow_publish", args=[version.workflow_id])
        words = f"Publish version {version.number} again"
        return format_html('<a class="cc-link" href="{}?version={}">{}</a>', page, version.number, words)


@admin.register(Workflow)
class WorkflowAdmin(TenantAdmin):
    """The draft is checked when it is saved; what is wrong names the step."""

    form = WorkflowForm
    list_display = ("name", "key", "organization", "trigger_event", "state", "updated_at")
    list_filter = ("organization", "is_active")
    list_select_related = ("organization", "current_version")
    search_fields = ("name", "key", "trigger_event")
    readonly_fields = ("trigger_event", "published", "paused_at", "executions_link", "updated_at")
    inlines = (VersionInline,)
    actions_submit_line = (PUBLISH,)
    actions_detail = ("see_impact", "pause", "resume")
    autocomplete_fields = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("current_version__definition")

    class Media:
        css = {"all": ("notifications_admin/notifications.css",)}

    def get_urls(self) -> list[URLPattern]:
        page = page_of(self, "<uuid:object_id>/publish/", publishing_page, "publish")
        return [page, *super().get_urls()]

    @action(description="Publish with a choice", url_path="see-impact", permissions=["change"])
    def see_impact(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What would change, and what becomes of the executions under way."""
        return redirect("admin:workflows_workflow_publish", object_id)

    def has_pause_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may let it stand still now."""
        return self._may_change(request, object_id, is_paused=False)

    def has_resume_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Whether this person may let it go on now."""
        return self._may_change(request, object_id, is_paused=True)

    def _may_change(self, request: HttpRequest, object_id: str | None, *, is_paused: bool) -> bool:
        found = self.get_object(request, object_id) if object_id else None
        fits = found is not None and (found.paused_at is not None) is is_paused
        return fits and bool(self.has_change_permission(request, found))

    @action(description="Pause", url_path="pause", permissions=["pause"], dialog=_PAUSE)
    def pause(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Let it stand still."""

        def act(workflow: Workflow) -> str:
            pause_workflow(workflow=workflow)
            return "It is paused: no step begins until it is resumed."

        return self._act_on(request, object_id, act)

    @action(description="Resume", url_path="resume", permissions=["resume"], dialog=_RESUME)
    def resume(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Let it go on."""

        def act(workflow: Workflow) -> str:
            return f"It goes on; steps that had become due: {resume_workflow(workflow=workflow)}."

        return self._act_on(request, object_id, act)

    def _act_on(self, request: HttpRequest, object_id: str, act: Callable[[Workflow], str]) -> HttpResponse:
        found = self.get_object(request, object_id)
        assert found is not None
        try:
            said = act(found)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.log_change(request, found, said)
            self.message_user(request, said, messages.SUCCESS)
        return go_on(request, reverse("admin:workflows_workflow_change", args=[object_id]))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("organization", "definition", "reentry", "is_active")
        return ("definition", "reentry", "is_active", *self.readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else self.inlines

    def save_model(self, request: HttpRequest, obj: Workflow, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("definition", "reentry", "is_active")}
        if change:
            saved = update_workflow(workflow=obj, **given)
        else:
            saved = create_workflow(organization=obj.organization, **given)
        for field in saved._meta.concrete_fields:
            setattr(obj, field.attname, getattr(saved, field.attname))
        obj._state.adding = False
        if PUBLISH in request.POST:
            self.publish_draft(request, obj)

    def delete_model(self, request: HttpRequest, obj: Workflow) -> None:
        delete_workflow(workflow=obj)

    @action(description="Save and publish", permissions=["change"])
    def publish_draft(self, request: HttpRequest, obj: Workflow) -> None:
        """The draft becomes what new executions run; references were checked by the form."""
        version = publish_workflow(workflow=obj, published_by=request.user)  # type: ignore[arg-type]
        self.message_user(request, f"{obj.name}: {version} is what new executions run.", messages.SUCCESS)

    @display(description="state", label={"draft": "warning", "off": "danger", "paused": "warning"})
    def state(self, workflow: Workflow) -> str:
        if workflow.paused_at is not None:
            return "paused"
        if not workflow.is_active:
            return "off"
        return f"version {workflow.current_version.number}" if workflow.current_version else "draft"

    @display(description="published")
    def published(self, workflow: Workflow) -> str:
        version = workflow.current_version
        if version is None:
            return "Not yet: nothing starts it."
        if version.definition != workflow.definition:
            return f"{version}; the draft has changed since."
        return f"{version}; the draft is the same."

    @display(description="executions")
    def executions_link(self, workflow: Workflow) -> SafeString:
        address = reverse("admin:workflows_execution_changelist")
        return format_html(
            '<a href="{}?workflow__id__exact={}">Show its executions</a>', address, workflow.pk
        )
