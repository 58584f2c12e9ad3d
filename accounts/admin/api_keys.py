"""API keys in the admin: made here, shown once, rotated and revoked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin.dialogs import ask, go_on
from accounts.admin.tenancy import ADMIN_ROLES, TenantAdmin, TenantModelForm
from accounts.models import ApiKey
from accounts.services import api_keys
from castcomm.common.clock import now
from castcomm.common.errors import CastCommError

# Both change something, so each asks first and is a POST with the CSRF token.
_ROTATE = ask(
    "Rotate this key?", "A new key is made and shown once. The old one works for 24 hours more.", "Rotate"
)
_REVOKE = ask("Revoke this key?", "Whoever uses it is refused from now on. This cannot be undone.", "Revoke")


class NewKeyForm(TenantModelForm):
    """What is asked when a key is made."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {what}") for scope, what in api_keys.SCOPES.items()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = ApiKey
        fields = ("organization", "name", "scopes", "expires_at")

    def clean_expires_at(self) -> Any:
        moment = self.cleaned_data["expires_at"]
        if moment is not None and moment <= now():
            raise forms.ValidationError("This moment has passed.")
        return moment


@admin.register(ApiKey)
class ApiKeyAdmin(TenantAdmin):
    """The key itself is shown once, when it is made or rotated."""

    change_roles: ClassVar[frozenset[str]] = ADMIN_ROLES
    list_display = ("name", "prefix", "organization", "state", "scope_list", "last_used_at", "expires_at")
    list_filter = ("organization",)
    list_select_related = ("organization",)
    search_fields = ("name", "prefix")
    actions = ("revoke_selected",)
    actions_detail = ("rotate_key", "revoke_key")
    readonly_fields = (
        "organization", "name", "prefix", "scope_list", "state", "created_by", "created_at",
        "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewKeyForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return NewKeyForm.Meta.fields if obj is None else self.readonly_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A revoked key stays as a record of who could call.
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        self.check_may_save(request, obj)
        made, plain = api_keys.create_api_key(
            organization=obj.organization,
            name=obj.name,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            created_by=request.user,  # type: ignore[arg-type]
        )
        for field in made._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made, field.attname))
        obj._state.adding = False
        self._show_once(request, plain)

    @display(description="state", label={"active": "success", "expired": "warning", "revoked": "danger"})
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "active" if api_keys.is_usable(key) else "expired"

    @admin.display(description="scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        keys = [key for key in queryset if self.has_change_permission(request, key)]
        for key in keys:
            api_keys.revoke(key=key)
        self.message_user(request, f"{len(keys)} revoked. They do not work any more.", messages.SUCCESS)

    @action(description="Rotate", url_path="rotate", permissions=["change"], dialog=_ROTATE)
    def rotate_key(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, self._rotate)

    @action(description="Revoke", url_path="revoke", permissions=["change"], dialog=_REVOKE)
    def revoke_key(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, self._revoke)

    def _act_on(
        self, request: HttpRequest, object_id: str, act: Callable[[HttpRequest, ApiKey], None]
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        if key is None or not self.has_change_permission(request, key):
            raise PermissionDenied
        try:
            act(request, key)
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
        target = reverse("admin:accounts_apikey_changelist")
        return go_on(request, target)

    def _rotate(self, request: HttpRequest, key: ApiKey) -> None:
        _, plain = api_keys.rotate(key=key, created_by=request.user)  # type: ignore[arg-type]
        self._show_once(request, plain)

    def _revoke(self, request: HttpRequest, key: ApiKey) -> None:
        api_keys.revoke(key=key)
        self.message_user(request, f"{key.name} does not work any more.", messages.SUCCESS)

    def _show_once(self, request: HttpRequest, plain: str) -> None:
        text = format_html("The key, shown this once: <code>{}</code>", plain)
        self.message_user(request, text, messages.WARNING)
