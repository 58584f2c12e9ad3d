"""Categories and event types: what the organization sends, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from accounts.admin.tenancy import TenantAdmin, choices_for
from castcomm.common.errors import CastCommError, Conflict
from notifications.admin.ledger import link_to
from notifications.admin.service_forms import ServiceForm
from notifications.models import Category, EventType, NotificationRequest, Template, TemplateKind
from notifications.services.catalog_editing import (
    check_event_type,
    delete_category,
    delete_event_type,
    save_category,
    save_event_type,
)
from notifications.services.defaults import DIRECT, GENERAL
from notifications.services.explaining.reach import would_reach
from notifications.vocabulary import Channel


class CatalogAdmin(TenantAdmin):
    """Rows with a key that never changes. They are deleted one by one, by a service that each class names.

    Django's metaclass for admin classes leaves no room for ``abc.ABC``; a class without the service is refused all
    the same.
    """

    delete_row: Callable[[Any], None]

    actions: ClassVar[Any] = None
    list_select_related: tuple[str, ...] = ("organization",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "delete_row"):
            raise TypeError(f"{cls.__name__} names no service that deletes a row: delete_row.")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "description" and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    class Media:
        css = {"all": ("notifications_admin/notifications.css",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "organization", "key") if obj is not None else fixed

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_row(obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except Conflict as error:
            self.message_user(request, error.message, messages.ERROR)
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            return HttpResponse(status=302, headers={"Location": reverse(name, args=[object_id])})
        return response


@admin.register(Category)
class CategoryAdmin(CatalogAdmin):
    """Groups of event types, in the order in which people see them among their preferences."""

    form = ServiceForm
    list_display = ("name", "key", "organization", "position", "event_type_count")
    list_display_links = ("name", "key")
    search_fields = ("key", "name")
    fields = ("organization", "key", "name", "description", "position")
    ordering = ("position", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(kinds=Count("event_types"))
        return counted

    @display(description="event types", ordering="kinds")
    def event_type_count(self, category: Any) -> SafeString:
        address = reverse("admin:notifications_eventtype_changelist")
        return format_html(
            '<a class="cc-link" href="{}?category__id__exact={}">{}</a>', address, category.pk, category.kinds
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        built_in = obj is not None and getattr(obj, "key", "") == GENERAL
        return super().has_delete_permission(request, obj) and not built_in

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        save_category(category=obj)

    @staticmethod
    def delete_row(row: Category) -> None:
        delete_category(category=row)


class EventTypeForm(ServiceForm):
    """An event type; channels are ticked."""

    expires_after = forms.DurationField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "7 00:00:00"}),
        help_text="Not sent any more, and gone from the inbox, after this time: days hours:minutes:seconds.",
    )
    channels = forms.MultipleChoiceField(
        choices=Channel.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Those it uses unless the caller names others or the person decided otherwise.",
    )

    def check_service(self, row: EventType) -> None:
        check_event_type(row)


class ReachForm(BaseDialogForm):  # type: ignore[misc]
    """Whom to ask about."""

    email = forms.EmailField(label="Person's e-mail address", widget=UnfoldAdminTextInputWidget)


@admin.register(EventType)
class EventTypeAdmin(CatalogAdmin):
    """How a kind of news is sent. The page also answers whether it would reach somebody."""

    form = EventTypeForm
    list_display = ("name", "key", "category", "channel_words", "template_link", "priority", "flags", "state")
    list_display_links = ("name", "key")
    list_filter = (("category", RelatedDropdownFilter), "is_active", "is_critical")
    list_filter_submit = True
    list_select_related = ("category", "template")
    search_fields = ("key", "name")
    actions_detail = ("check_reach",)
    fieldsets = (
        (None, {"fields": ("organization", "key", "name", "category", "description", "is_active")}),
        ("What it says, and where", {"fields": ("template", "channels", "priority", "expires_after")}),
        (
            "When it goes out",
            {"fields": ("is_critical", "quiet_hours_policy", "duplicates_allowed", "is_digestible", "notify_on_event")},
        ),
    )  # fmt: skip

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "template":
            messages_only = choices_for(Template, request)
            assert messages_only is not None
            kwargs["queryset"] = messages_only.filter(kind=TemplateKind.MESSAGE)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @display(description="channels")
    def channel_words(self, event_type: EventType) -> str:
        return ", ".join(Channel(channel).label for channel in event_type.channels) or "none"

    @display(description="template", ordering="template__key")
    def template_link(self, event_type: EventType) -> SafeString | str:
        return link_to(event_type.template) if event_type.template else "text comes with the call"

    @display(description="special", label={"critical": "danger", "twice rather than never": "warning"})
    def flags(self, event_type: EventType) -> str:
        if event_type.is_critical:
            return "critical"
        return "twice rather than never" if event_type.duplicates_allowed else ""

    @display(description="state", label={"on": "success", "off": "warning"}, ordering="is_active")
    def state(self, event_type: EventType) -> str:
        return "on" if event_type.is_active else "off"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        built_in = obj is not None and getattr(obj, "key", "") == DIRECT
        return super().has_delete_permission(request, obj) and not built_in

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Django's own collector would read every request that was ever sent under these event types.
        used = NotificationRequest.objects.filter(event_type__in=objs).exists()
        protected = ["Notifications have been sent under it. Switch it off instead."] if used else []
        return [str(row) for row in objs], {}, set(), protected

    def save_model(self, request: HttpRequest, obj: EventType, form: Any, change: bool) -> None:
        save_event_type(event_type=obj)

    @staticmethod
    def delete_row(row: EventType) -> None:
        delete_event_type(event_type=row)

    @action(
        description="Would it reach …?",
        url_path="reach",
        permissions=["view"],
        dialog={
            "title": "Would it reach this person now?",
            "description": "Routing decides as if it were sent this moment; nothing is sent.",
            "form_class": ReachForm,
            "form_submit_text": "Ask",
        },
    )
    def check_reach(self, request: HttpRequest, form: ReachForm, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        assert row is not None  # the permission was asked about this row
        email = form.cleaned_data["email"]
        try:
            decided = would_reach(organization=row.organization, recipient=email, event_type=row.key)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            for one in decided:
                words = f"{email}, {Channel(one['channel']).label}: {one['action']}. {one['sentence']}"
                self.message_user(request, words, messages.INFO)
        address = reverse("admin:notifications_eventtype_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": address})

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Unfold's actions ask with an id in place of the row.
        row = self.get_object(request, obj) if isinstance(obj, str) else obj
        missing = isinstance(obj, str) and row is None
        return not missing and super().has_view_permission(request, row)
