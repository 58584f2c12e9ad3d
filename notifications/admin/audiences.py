"""Topics and lists: what they are, who is in them, and putting people and addresses in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin.dialogs import go_on
from accounts.admin.tenancy import TenantAdmin
from accounts.models import User
from castcomm.common.errors import CastCommError
from notifications.admin.list_import import import_page
from notifications.admin.service_forms import ServiceForm
from notifications.models import ConsentSource, RecipientList, Topic
from notifications.services.audiences.keys import check_fields, delete_row
from notifications.services.audiences.lists import add_members, remove_members
from notifications.services.audiences.topics import Doer, subscribe_many, unsubscribe_many
from notifications.services.consents import facts_of

SHOWN = 25  # of who is in it, the newest


class KeyedForm(ServiceForm):
    """Asks the service about key, name and description."""

    def check_service(self, row: Any) -> None:
        check_fields(row)


class PeopleForm(BaseDialogForm):  # type: ignore[misc]
    """Who; one on a line."""

    people = forms.CharField(
        label="E-mail addresses, one on a line",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="In a list also phone numbers with their country code.",
    )

    @property
    def lines(self) -> list[Any]:
        """What was written, as recipients are named."""
        given = (line.strip() for line in self.cleaned_data["people"].splitlines())
        return [{"phone": line} if line.startswith("+") else line for line in given if line]


def _dialog(title: str, description: str, form: type[BaseDialogForm], answer: str) -> ActionDialog:
    return ActionDialog(title=title, description=description, form_class=form, form_submit_text=answer)


_PUT_IN = _dialog("Put in whom?", "Whoever is in it already stays in it once.", PeopleForm, "Put in")
_TAKE_OUT = _dialog("Take out whom?", "Who is not in it is passed over.", PeopleForm, "Take out")


class GroupAdmin(TenantAdmin):
    """What topics and lists have in common; ``entries`` is the name of what points at who is in it."""

    form = KeyedForm
    entries: ClassVar[str]
    list_select_related = ("organization",)
    search_fields = ("key", "name")
    ordering = ("name", "key")
    change_form_after_template = "admin/notifications/audience/entries.html"
    actions: ClassVar[Any] = None

    class Media:
        css = {"all": ("notifications_admin/notifications.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(size=Count(self.entries))
        return rows

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "description" and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("organization", "key")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        found = self.get_object(request, object_id)
        if found is not None:
            rows = getattr(found, self.entries).select_related("user").order_by("-id")
            context |= {
                "newest": list(rows[:SHOWN]),
                "size": f"{found.size:,}",
                "is_part": found.size > SHOWN,
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
            return self._back(request, object_id)
        return response

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        delete_row(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Django's own collector would read all who are in it.
        return [f"{row} with everybody in it" for row in objs], {}, set(), []

    @display(description="people", ordering="size")
    def people(self, row: Any) -> str:
        return f"{row.size:,}"

    def has_act_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        found = self.get_object(request, object_id) if object_id else None
        return found is not None and self.has_change_permission(request, found)

    def act_on(self, request: HttpRequest, object_id: str, act: Callable[[Any], str]) -> HttpResponse:
        """Run an action of the row's page, say what came of it or what is wrong, and show the page again."""
        found = self.get_object(request, object_id)
        if found is None or not self.has_change_permission(request, found):
            raise PermissionDenied
        try:
            done = act(found)
        except CastCommError as error:
            self.message_user(request, _said_of(error), messages.ERROR)
        else:
            self.log_change(request, found, done)
            self.message_user(request, done, messages.SUCCESS)
        return self._back(request, object_id)

    def _back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return go_on(request, reverse(name, args=[object_id]))


def _said_of(error: CastCommError) -> str:
    """The message with the line it is about."""
    position = (error.attr or "").partition(".")[2].partition(".")[0]
    return f"Line {int(position) + 1}: {error.message}" if position.isdigit() else error.message


@admin.register(Topic)
class TopicAdmin(GroupAdmin):
    """What people subscribe to."""

    entries = "subscriptions"
    list_display = ("name", "key", "is_open", "people", "organization")
    list_filter = ("is_open",)
    fields = ("organization", "key", "name", "description", "is_open")
    actions_detail = ("put_in", "take_out")

    @action(description="Subscribe people", url_path="put-in", permissions=["act"], dialog=_PUT_IN)
    def put_in(self, request: HttpRequest, form: PeopleForm, object_id: str) -> HttpResponse:
        def act(topic: Topic) -> str:
            return f"{subscribe_many(topic=topic, people=form.lines, doer=_staff(request))} subscribed."

        return self.act_on(request, object_id, act)

    @action(description="Take out", url_path="take-out", permissions=["act"], dialog=_TAKE_OUT)
    def take_out(self, request: HttpRequest, form: PeopleForm, object_id: str) -> HttpResponse:
        def act(topic: Topic) -> str:
            return f"{unsubscribe_many(topic=topic, people=form.lines, doer=_staff(request))} taken out."

        return self.act_on(request, object_id, act)


def _staff(request: HttpRequest) -> Doer:
    by = request.user.id if isinstance(request.user, User) else None
    return Doer(source=ConsentSource.STAFF, user_id=by, facts=facts_of(request))


@admin.register(RecipientList)
class RecipientListAdmin(GroupAdmin):
    """People and addresses that somebody put together."""

    entries = "members"
    list_display = ("name", "key", "people", "organization")
    fields = ("organization", "key", "name", "description")
    actions_detail = ("put_in", "take_out", "import_file")

    @action(description="Put in", url_path="put-in", permissions=["act"], dialog=_PUT_IN)
    def put_in(self, request: HttpRequest, form: PeopleForm, object_id: str) -> HttpResponse:
        def act(found: RecipientList) -> str:
            return f"{add_members(recipient_list=found, entries=form.lines)} added."

        return self.act_on(request, object_id, act)

    @action(description="Take out", url_path="take-out", permissions=["act"], dialog=_TAKE_OUT)
    def take_out(self, request: HttpRequest, form: PeopleForm, object_id: str) -> HttpResponse:
        def act(found: RecipientList) -> str:
            return f"{remove_members(recipient_list=found, entries=form.lines)} taken out."

        return self.act_on(request, object_id, act)

    @action(description="Import from a file", url_path="import", permissions=["act"], icon="upload")
    def import_file(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return import_page(self, request, self.get_object(request, object_id))
