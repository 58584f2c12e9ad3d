"""The admin seen by staff of one organization: only its rows, only its choices.

Every admin of a tenant's rows is built on ``TenantAdmin`` (and its inlines on ``TenantTabularInline`` or
``TenantStackedInline``). Superusers see everything; other staff see what belongs to the organizations they
work for. Their role there decides, not Django's per-model permissions.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from accounts.models import Membership, Organization, User
from accounts.models.organizations import Role

ADMIN_ROLES = frozenset({Role.OWNER, Role.ADMIN})


def staffed_organizations(request: HttpRequest) -> Mapping[uuid.UUID, str]:
    """The organizations that this person works for, with their role there; one query per request."""
    known: dict[uuid.UUID, str] | None = getattr(request, "_staffed_organizations", None)
    if known is None:
        rows = Membership.objects.filter(
            user=request.user.pk,
            is_active=True,
            organization__is_active=True,
            role__in=Membership.STAFF_ROLES,
        ).order_by("created_at", "id")
        known = dict(rows.values_list("organization_id", "role"))
        request._staffed_organizations = known  # type: ignore[attr-defined]
    return known


def is_superuser(request: HttpRequest) -> bool:
    """Whether this person may see every organization."""
    return isinstance(request.user, User) and request.user.is_active and request.user.is_superuser


def organizations_with_role(request: HttpRequest, roles: frozenset[str]) -> list[uuid.UUID]:
    """The organizations in which this person has one of ``roles``."""
    return [pk for pk, role in staffed_organizations(request).items() if role in roles]


def acting_membership(request: HttpRequest, organization_id: uuid.UUID) -> Membership:
    """Who acts on the members of this organization; a superuser with the powers of an owner. Not to be saved."""
    role = Role.OWNER if is_superuser(request) else staffed_organizations(request).get(organization_id)
    if role is None:
        raise PermissionDenied
    person = cast(User, request.user)
    return Membership(organization_id=organization_id, user=person, role=role)


def limit_to_staffed(queryset: models.QuerySet[Any], request: HttpRequest, path: str) -> models.QuerySet[Any]:
    """Only the rows whose organization, reached by the lookup ``path``, this person works for."""
    if is_superuser(request):
        return queryset
    return queryset.filter(**{f"{path}__in": list(staffed_organizations(request))})


def people_of_staffed(queryset: models.QuerySet[Any], request: HttpRequest) -> models.QuerySet[Any]:
    """Only the users who are active members of an organization that this person works for."""
    if is_superuser(request):
        return queryset
    members = Membership.objects.filter(is_active=True, organization__in=list(staffed_organizations(request)))
    return queryset.filter(pk__in=members.values("user"))


def choices_for(
    model: type[models.Model], request: HttpRequest, *, roles: frozenset[str] = Membership.STAFF_ROLES
) -> models.QuerySet[Any] | None:
    """The rows of ``model`` that this person may point at, or None when the model is no tenant's.

    ``roles`` are those that may write: an organization can be chosen only by who has one of them there.
    """
    rows = model._default_manager.all()
    if model is Organization:
        if is_superuser(request):
            return rows
        return rows.filter(pk__in=organizations_with_role(request, roles))
    if model is User:
        return people_of_staffed(rows, request)
    if _has_organization(model):
        return limit_to_staffed(rows, request, "organization")
    return None


class TenantModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses to tie rows of different organizations together, whoever is asking."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        organization = cleaned.get("organization") or getattr(self.instance, "organization_id", None)
        if organization is None:
            return cleaned
        own = organization.pk if isinstance(organization, Organization) else organization
        for name, value in cleaned.items():
            related = value if isinstance(value, models.QuerySet | list | tuple) else [value]
            for row in related:
                if (
                    isinstance(row, models.Model)
                    and _has_organization(type(row))
                    and row.organization_id not in {own, None}  # type: ignore[attr-defined]
                ):
                    self.add_error(name, ValidationError("This belongs to another organization."))
                    break
        return cleaned


class TenantScopeMixin:
    """Scoping for ModelAdmins and inlines alike.

    ``organization_path`` is the lookup from the model to its organization. ``read_only = True`` is for records
    of what happened. ``change_roles`` are the roles that may add, change and delete.
    """

    model: type[models.Model]
    organization_path: ClassVar[str] = "organization"
    read_only: ClassVar[bool] = False
    change_roles: ClassVar[frozenset[str]] = Membership.STAFF_ROLES

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset: models.QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return limit_to_staffed(queryset, request, self.organization_path)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request) or self._role_allows(request, obj, Membership.STAFF_ROLES)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_write(request, obj)

    def _may_write(self, request: HttpRequest, obj: Any) -> bool:
        if self.read_only:
            return False
        return is_superuser(request) or self._role_allows(request, obj, self.change_roles)

    def check_may_save(self, request: HttpRequest, obj: Any) -> None:
        """Raise PermissionDenied unless this person may write in the organization that the row is about to have.

        Whether someone may add rows is asked before there is one; here the row says where it belongs.
        """
        if is_superuser(request):
            return
        owner = self._organization_id(obj)
        if (
            self.read_only
            or owner is None
            or staffed_organizations(request).get(owner) not in self.change_roles
        ):
            raise PermissionDenied

    def _role_allows(self, request: HttpRequest, obj: Any, roles: frozenset[str]) -> bool:
        staffed = staffed_organizations(request)
        owner = self._organization_id(obj)
        if owner is None:
            return any(role in roles for role in staffed.values())
        return staffed.get(owner) in roles

    def _organization_id(self, obj: Any) -> uuid.UUID | None:
        # Inlines are asked about the parent, which may be reached by another path: only trust own rows.
        if obj is None or not isinstance(obj, self.model):
            return getattr(obj, "organization_id", None)
        value: Any = obj
        for part in self.organization_path.split("__"):
            if part in {"id", "pk"}:
                return getattr(value, "pk", None)
            value = getattr(value, part, None)
        return getattr(value, "pk", None)

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if "queryset" not in kwargs and isinstance(db_field.related_model, type):
            choices = choices_for(db_field.related_model, request, roles=self.change_roles)
            if choices is not None:
                kwargs["queryset"] = choices
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def formfield_for_manytomany(
        self, db_field: models.ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if "queryset" not in kwargs and isinstance(db_field.related_model, type):
            choices = choices_for(db_field.related_model, request, roles=self.change_roles)
            if choices is not None:
                kwargs["queryset"] = choices
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


class TenantAdmin(TenantScopeMixin, ModelAdmin):  # type: ignore[misc]
    """A ModelAdmin of rows that belong to an organization."""

    form = TenantModelForm
    list_per_page = 50
    show_full_result_count = False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        staffed = organizations_with_role(request, self.change_roles)
        if staffed:
            initial.setdefault("organization", staffed[0])
        return initial

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change and _has_organization(type(obj)) and obj.organization_id is None:
            staffed = organizations_with_role(request, self.change_roles)
            if len(staffed) == 1:
                obj.organization_id = staffed[0]
        self.check_may_save(request, obj)
        super().save_model(request, obj, form, change)


class TenantTabularInline(TenantScopeMixin, TabularInline):  # type: ignore[misc]
    """A tabular inline whose choices stay within the organization."""

    form = TenantModelForm
    extra = 0


class TenantStackedInline(TenantScopeMixin, StackedInline):  # type: ignore[misc]
    """A stacked inline whose choices stay within the organization."""

    form = TenantModelForm
    extra = 0


def _has_organization(model: type[models.Model]) -> bool:
    return any(field.name == "organization" for field in model._meta.get_fields())
