"""Organizations and their members in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from accounts.admin.tenancy import (
    ADMIN_ROLES,
    TenantAdmin,
    TenantScopeMixin,
    acting_membership,
    is_superuser,
    staffed_organizations,
)
from accounts.models import Membership, Organization
from accounts.models.organizations import Role
from accounts.services.members import change_member
from accounts.services.organizations import add_member
from castcomm.common.errors import CastCommError


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
        ("Defaults", {"fields": ("open_sign_up", "time_zone", "locale", "settings")}),
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
    """Who belongs to an organization. Only its owners and superusers make owners.

    Everything goes through the services, so that the same rules hold as in the API: the last owner stays,
    and whoever is put out loses their open sockets. Deleting puts a member out; the record stays.
    """

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

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        role = form.base_fields.get("role")
        if role is not None and not is_superuser(request):
            # What someone may grant here does not follow from what they are elsewhere.
            owns = obj is not None and self._role_in(request, obj) == Role.OWNER
            role.choices = [choice for choice in role.choices if owns or choice[0] != Role.OWNER]
        return form

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        self.check_may_save(request, obj)
        if not change:
            saved = add_member(
                organization=obj.organization, user=obj.user, role=obj.role, domain_role=obj.domain_role
            )
            # The log of the admin and its redirect name the row by its key.
            obj.pk, obj._state.adding, saved_active = saved.pk, False, obj.is_active
            if saved_active:
                return
        changes = {"role": obj.role, "domain_role": obj.domain_role, "is_active": obj.is_active}
        change_member(membership=obj, by=acting_membership(request, obj.organization_id), changes=changes)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        by = acting_membership(request, obj.organization_id)
        change_member(membership=obj, by=by, changes={"is_active": False})

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for membership in queryset:
            self.delete_model(request, membership)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._or_say_why(
            request, lambda: super(MembershipAdmin, self).changeform_view(request, *args, **kwargs)
        )

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._or_say_why(
            request, lambda: super(MembershipAdmin, self).changelist_view(request, *args, **kwargs)
        )

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._or_say_why(
            request, lambda: super(MembershipAdmin, self).delete_view(request, *args, **kwargs)
        )

    def _or_say_why(self, request: HttpRequest, view: Callable[[], Any]) -> Any:
        """The view's answer; what a service refuses is said on the same page, and nothing is changed."""
        try:
            with transaction.atomic():
                answer: HttpResponse = view()
        except CastCommError as error:
            self.message_user(request, error.message, messages.ERROR)
            return redirect(request.get_full_path())
        return answer

    @staticmethod
    def _role_in(request: HttpRequest, membership: Membership) -> str | None:
        return staffed_organizations(request).get(membership.organization_id)

    def _may_touch(self, request: HttpRequest, membership: Membership) -> bool:
        if is_superuser(request) or membership.role != Role.OWNER:
            return True
        return self._role_in(request, membership) == Role.OWNER
