"""Workflows: edit the draft, publish it, see its versions and how its executions go."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from accounts.admin.dialogs import page_of
from accounts.admin.tenancy import TenantAdmin, TenantTabularInline
from workflows.admin.forms import PUBLISH, WorkflowForm
from workflows.admin.publishing import publishing_page
from workflows.models import Workflow, WorkflowVersion
from workflows.services.drafts import create_workflow, delete_workflow, update_workflow
from workflows.services.publishing import publish_workflow


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
    readonly_fields = ("trigger_event", "published", "executions_link", "updated_at")
    inlines = (VersionInline,)
    actions_submit_line = (PUBLISH,)
    actions_detail = ("see_impact",)
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

    @display(description="state", label={"draft": "warning", "off": "danger"})
    def state(self, workflow: Workflow) -> str:
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
