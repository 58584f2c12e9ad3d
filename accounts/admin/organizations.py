"""Organizations and their members in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.admin.tenancy import (
    ADMIN_ROLES,
    TenantAdmin,
    TenantScopeMixin,
    is_superuser,
    staffed_organizations,
)
from accounts.models import Membership, Organization
from accounts.models.organizations import Role


@admin.register(Organization)
class OrganizationAdmin(TenantScopeMixin, ModelAdmin):  # type: ignore[misc]
    """Superusers make organizations; owners and admins change their own."""

    organization_path = "id"
    change_roles = ADMIN_ROLES
    list_display = ("name", "slug", "member_count", "time_zone", "locale", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    readonly_fields = ("id", "created_at")
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_active")}),
        ("Defaults", {"fields": ("time_zone", "locale", "settings")}),
        ("Record", {"fields": ("id", "created_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        members = Count("memberships", filter=Q(memberships__is_active=True))
        counted: QuerySet[Any] = super().get_queryset(request).annotate(members=members)
        return counted

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if is_superuser(request) else (*fixed, "slug", "is_active")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    @admin.display(description="members", ordering="members")
    def member_count(self, organization: Any) -> int:
        return int(organization.members)


@admin.register(Membership)
class MembershipAdmin(TenantAdmin):
    """Who belongs to an organization. Only owners and superusers make owners."""

    change_roles: ClassVar[frozenset[str]] = ADMIN_ROLES
    list_display = ("user", "organization", "role", "domain_role", "is_active", "created_at")
    list_filter = ("organization", "role", "is_active")
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "user__first_name", "user__last_name", "domain_role")
    autocomplete_fields = ("user", "organization")
    readonly_fields = ("id", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return (*fixed, "user", "organization") if obj is not None else fixed

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Staff add people through the API by address; here the choice of people would leak accounts.
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or self._may_touch(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or self._may_touch(request, obj))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role" and not is_superuser(request):
            owns = Role.OWNER in staffed_organizations(request).values()
            kwargs["choices"] = [choice for choice in Role.choices if owns or choice[0] != Role.OWNER]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    @staticmethod
    def _may_touch(request: HttpRequest, membership: Membership) -> bool:
        if is_superuser(request) or membership.role != Role.OWNER:
            return True
        return staffed_organizations(request).get(membership.organization_id) == Role.OWNER
