"""People in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from accounts.admin.tenancy import (
    TenantScopeMixin,
    TenantTabularInline,
    is_superuser,
    people_of_staffed,
    staffed_organizations,
)
from accounts.models import Membership, User
from accounts.services.users import clean_time_zone, save_person
from castcomm.common.errors import InvalidInput

# What a person may do follows from memberships; groups of permissions are not used.
admin.site.unregister(Group)


class MembershipInline(TenantTabularInline):
    """Where a person belongs, as far as the one who looks works there."""

    model = Membership
    fields = ("organization", "role", "domain_role", "is_active")

    show_change_link = True
    # Members are changed in their own admin, where the rules of membership hold.
    read_only = True


class NewUserForm(BaseUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "first_name", "last_name")


class PersonForm(UserChangeForm):  # type: ignore[misc]
    """An account, with a time zone that exists."""

    def clean_time_zone(self) -> str:
        try:
            return clean_time_zone(self.cleaned_data["time_zone"])
        except InvalidInput as error:
            raise ValidationError(error.message) from error


@admin.register(User)
class UserAdmin(TenantScopeMixin, DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Accounts serve every organization of the deployment, so only superusers change them here."""

    organization_path = "memberships__organization"
    form = PersonForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    inlines = (MembershipInline,)
    ordering = ("email",)
    list_display = ("email", "display_name", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "first_name", "last_name")
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    show_full_result_count = False
    list_per_page = 50
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "phone", "locale", "time_zone", "attributes")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "first_name", "last_name", "password1", "password2")}),)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        # Past the mixin: someone who was put out is no longer theirs to see.
        return people_of_staffed(DjangoUserAdmin.get_queryset(self, request), request)

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if is_superuser(request) else ("email", "display_name")

    def get_list_filter(self, request: HttpRequest) -> Any:
        return self.list_filter if is_superuser(request) else ()

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # A filter in the address would answer questions about facts that the page does not show.
        return is_superuser(request) and super().lookup_allowed(lookup, value, request)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if is_superuser(request) or obj is None:
            return fieldsets
        # The stored form of the password is nobody's business.
        address = (None, {"fields": ("email",)})
        if self._is_elsewhere(request, obj):
            # The account is shared with people of other organizations, who gave it these facts.
            return (address, ("Person", {"fields": ("first_name", "last_name")}))
        return (address, *fieldsets[1:])

    @staticmethod
    def _is_elsewhere(request: HttpRequest, user: User) -> bool:
        """Whether the account may do everything, or has a membership where this person does not work."""
        if user.is_superuser:
            return True
        others = user.memberships.exclude(organization__in=list(staffed_organizations(request)))
        return others.exists()

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            save_person(obj)
        else:
            super().save_model(request, obj, form, change)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Which people those are is decided by get_queryset.
        return super().has_view_permission(request, None)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)
