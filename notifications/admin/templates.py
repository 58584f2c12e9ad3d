"""Templates and layouts: staff edit a draft, look at it, try it on themselves, and publish it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin.dialogs import ask, page_of
from accounts.models import User
from castcomm.common.errors import CastCommError
from notifications.admin import template_preview, template_versions
from notifications.admin.catalog import CatalogAdmin
from notifications.admin.ledger import link_to
from notifications.admin.template_forms import TemplateForm
from notifications.models import NotificationRequest, Template, TemplateKind, TemplateVersion, VersionStatus
from notifications.services.sending import send_notification
from notifications.services.templates import (
    delete_template,
    publish_template,
    save_template,
)

PUBLISH, PREVIEW = "_publish", "_preview"

_SEND_TEST = ask(
    "Send what is published to you?",
    "With the examples of the declared variables, on every channel for which there is text, "
    "whatever your preferences say. The draft can be sent from its preview.",
    "Send",
)


@admin.register(Template)
class TemplateAdmin(CatalogAdmin):
    """The page holds the draft in every language. What is published stays as it is until it is published again."""

    form = TemplateForm
    list_display = ("name", "key", "kind", "layout_key", "published_label", "draft_label", "organization")
    list_display_links = ("name", "key")
    list_filter = (("kind", ChoicesDropdownFilter),)
    list_filter_submit = True
    list_select_related = ("organization", "layout")
    search_fields = ("key", "name")
    actions_detail = ("send_test",)
    change_form_show_cancel_button = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        versions = TemplateVersion.objects.filter(template=OuterRef("pk"))
        published = versions.filter(status=VersionStatus.PUBLISHED)
        draft = versions.filter(status=VersionStatus.DRAFT)
        rows: QuerySet[Any] = super().get_queryset(request)
        with_versions: QuerySet[Any] = rows.annotate(
            published_number=Subquery(published.values("number")[:1]),
            published_on=Subquery(published.values("published_at")[:1]),
            draft_number=Subquery(draft.values("number")[:1]),
        )
        return with_versions

    def get_urls(self) -> list[URLPattern]:
        return [
            page_of(self, "<uuid:object_id>/preview/", template_preview.preview_page, "preview"),
            page_of(
                self, "<uuid:object_id>/versions/<int:number>/", template_versions.version_page, "version"
            ),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Template | None = None) -> Any:
        if obj is None:
            asked = ("organization", "kind", "key", "name", "description", "layout")
            return ((None, {"fields": asked}),)
        about = ("organization", "key", "name", "description")
        if obj.kind == TemplateKind.LAYOUT:
            return ((None, {"fields": (*about, "kind")}),)
        return ((None, {"fields": (*about, "layout")}), ("Data it takes", {"fields": ("variables",)}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "kind") if obj is not None else fixed

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change, **kwargs)
        if "variables" in made.base_fields:
            attrs = {"rows": 6, "class": "cc-code", "spellcheck": "false"}
            made.base_fields["variables"].widget = UnfoldAdminTextareaWidget(attrs=attrs)
            # What has changed is judged against the row, not against what the browser was given.
            made.base_fields["variables"].show_hidden_initial = False
        return made

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if found is not None:
            context["versions"] = found.versions.select_related("published_by")
            context["event_types"] = found.event_types.all()
            context["used_by"] = Template.objects.filter(layout=found)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        if form.has_changed() or not change:
            saved = save_template(
                organization=obj.organization,
                key=obj.key,
                name=obj.name,
                description=obj.description,
                kind=obj.kind,
                layout=obj.layout,
                variables=obj.variables,
                contents=form.contents_given() if change else {},
            )
            for field in saved._meta.concrete_fields:
                setattr(obj, field.attname, getattr(saved, field.attname))
            obj._state.adding = False
        if PUBLISH in request.POST:
            self._publish(request, obj)

    def _publish(self, request: HttpRequest, template: Template) -> None:
        assert isinstance(request.user, User)
        try:
            version = publish_template(template=template, user=request.user)
        except CastCommError as error:
            where = f" ({error.attr})" if error.attr else ""
            self.message_user(request, f"Not published{where}: {error.message}", messages.ERROR)
            return
        self.log_change(request, template, f"Published version {version.number}.")
        self.message_user(request, f"Version {version.number} is what is sent from now on.", messages.SUCCESS)

    def response_add(
        self, request: HttpRequest, obj: Template, post_url_continue: Any = None
    ) -> HttpResponse:
        self.message_user(request, "Now write its text.", messages.SUCCESS)
        return redirect(reverse("admin:notifications_template_change", args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: Template) -> HttpResponse:
        if PREVIEW in request.POST:
            return redirect(reverse("admin:notifications_template_preview", args=[obj.pk]))
        if PUBLISH not in request.POST:
            self.message_user(
                request, "The draft is saved. People get it once it is published.", messages.SUCCESS
            )
        return redirect(reverse("admin:notifications_template_change", args=[obj.pk]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Django's own collector would read every request that was ever sent with these templates.
        protected = []
        if NotificationRequest.objects.filter(template__in=objs).exists():
            protected.append("Notifications have been sent with it.")
        protected += [
            format_html("Event type {}", link_to(kind)) for row in objs for kind in row.event_types.all()
        ]
        protected += [link_to(row) for row in Template.objects.filter(layout__in=objs)]
        return [str(row) for row in objs], {}, set(), protected

    @staticmethod
    def delete_row(row: Template) -> None:
        delete_template(template=row)

    @display(description="layout", ordering="layout__key")
    def layout_key(self, template: Template) -> str:
        return template.layout.key if template.layout else ""

    @display(description="published", ordering="published_on", label={"never": "warning"})
    def published_label(self, template: Any) -> str:
        return f"version {template.published_number}" if template.published_number else "never"

    @display(description="draft", label="info")
    def draft_label(self, template: Any) -> str:
        return f"version {template.draft_number}" if template.draft_number else ""

    def has_send_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self.get_object(request, object_id) if object_id else None
        return found is not None and found.kind == TemplateKind.MESSAGE and bool(found.published_number)

    @action(
        description="Send what is published to me",
        url_path="send-test",
        permissions=["send"],
        dialog=_SEND_TEST,
    )
    def send_test(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        found = self.get_object(request, object_id)
        assert found is not None  # the permission was asked about this row
        assert isinstance(request.user, User)
        examples = {name: known["example"] for name, known in found.variables.items() if "example" in known}
        try:
            result = send_notification(
                organization=found.organization,
                template=found.key,
                recipients=[{"email": request.user.email}],
                data=examples,
                critical=True,
                source="test",
            )
        except CastCommError as error:
            where = f" ({error.attr})" if error.attr else ""
            self.message_user(request, f"Not sent{where}: {error.message}", messages.ERROR)
        else:
            self.message_user(
                request, template_preview.sent_message(result, request.user.email), messages.SUCCESS
            )
        address = reverse("admin:notifications_template_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": address})
