"""Who am I, where do I belong, who else is there."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import serializers
from accounts.api.authentication import session_key_of
from accounts.api.tenancy import (
    HasScope,
    IsMember,
    IsPerson,
    IsStaffMember,
    TenantAPIView,
    TenantMixin,
)
from accounts.models import Membership, User
from accounts.selectors import belongs_elsewhere, members_of, memberships_of
from accounts.services.members import admit_member, change_member
from accounts.services.users import update_profile
from castcomm.common.errors import NotFound
from castcomm.realtime.auth import session_credential
from castcomm.realtime.tickets import TICKET_SECONDS, issue_ticket


class MeView(APIView):
    """The signed-in person."""

    permission_classes = [IsPerson]

    @extend_schema(responses=serializers.Profile)
    def get(self, request: Request) -> Response:
        return Response(_profile(_person(request)))

    @extend_schema(request=serializers.ProfileChanges, responses=serializers.Profile)
    def patch(self, request: Request) -> Response:
        changes = serializers.ProfileChanges(data=request.data)
        changes.is_valid(raise_exception=True)
        return Response(_profile(update_profile(user=_person(request), changes=changes.validated_data)))


class OrganizationsView(APIView):
    """The organizations of the signed-in person; their slugs and ids go into ``X-Organization``."""

    permission_classes = [IsPerson]

    @extend_schema(responses=serializers.OrganizationOfMember(many=True))
    def get(self, request: Request) -> Response:
        memberships = memberships_of(_person(request))
        return Response({"results": serializers.OrganizationOfMember(memberships, many=True).data})


class MembersView(TenantMixin, ListAPIView[Membership]):
    """The members of the organization: everybody sees names, staff see addresses and roles."""

    queryset = Membership.objects.none()

    def get_permissions(self) -> list[Any]:
        if self.request.method == "POST":
            return [IsStaffMember()]
        return [(IsMember | HasScope("admin"))()]

    def get_serializer_class(self) -> Any:
        if getattr(self, "swagger_fake_view", False) or self.tenant.has_scope("admin"):
            return serializers.MemberForStaff
        return serializers.Member

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        members = members_of(self.organization)
        if role := self.request.query_params.get("domain_role"):
            members = members.filter(domain_role=role)
        for word in self.request.query_params.get("search", "").split()[:5]:
            names = Q(user__first_name__icontains=word) | Q(user__last_name__icontains=word)
            if self.tenant.has_scope("admin"):
                names |= Q(user__email__icontains=word)
            members = members.filter(names)
        return members

    @extend_schema(
        parameters=[
            OpenApiParameter("domain_role", str, description="Only members with this domain role."),
            OpenApiParameter("search", str, description="Words of the name; for staff also of the address."),
        ]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(request=serializers.NewMember, responses={201: serializers.AdmittedMember})
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._admit(request))

    def _admit(self, request: Request) -> Response:
        new = serializers.NewMember(data=request.data)
        new.is_valid(raise_exception=True)
        membership = admit_member(organization=self.organization, by=self.membership, **new.validated_data)
        known = {"known_elsewhere": belongs_elsewhere(membership.user, self.organization)}
        admitted = serializers.AdmittedMember(membership, context=known)
        return Response(admitted.data, status=status.HTTP_201_CREATED)


class MemberView(TenantAPIView):
    """One member, by the id of the user."""

    permission_classes = [IsStaffMember]

    @extend_schema(responses=serializers.MemberForStaff)
    def get(self, request: Request, user_id: str) -> Response:
        return Response(serializers.MemberForStaff(self._find(user_id)).data)

    @extend_schema(request=serializers.MemberChanges, responses=serializers.MemberForStaff)
    def patch(self, request: Request, user_id: str) -> Response:
        member = self._find(user_id)
        changes = serializers.MemberChanges(data=request.data)
        changes.is_valid(raise_exception=True)
        changed = change_member(membership=member, by=self.membership, changes=changes.validated_data)
        return Response(serializers.MemberForStaff(changed).data)

    def _find(self, user_id: str) -> Membership:
        found: Membership | None = (
            Membership.objects.for_organization(self.organization)
            .filter(user_id=uuid.UUID(user_id))
            .select_related("user")
            .first()
        )
        if found is None:
            raise NotFound("There is no such member.")
        return found


class WebSocketTicketView(TenantAPIView):
    """A ticket with which one WebSocket opens as this person; works once, for 30 seconds."""

    permission_classes = [IsMember]

    @extend_schema(request=None, responses={201: serializers.Ticket})
    def post(self, request: Request) -> Response:
        assert self.user is not None
        key = session_key_of(request)
        credential = session_credential(key) if key else ""
        ticket = issue_ticket(self.user.id, self.organization.id, credential=credential, session_key=key)
        return Response({"ticket": ticket, "expires_in": TICKET_SECONDS}, status=status.HTTP_201_CREATED)


def _person(request: Request) -> User:
    assert isinstance(request.user, User), "IsPerson lets nobody else in"
    return request.user


def _profile(user: User) -> Any:
    user.organizations = list(memberships_of(user))  # type: ignore[attr-defined]
    return serializers.Profile(user).data
