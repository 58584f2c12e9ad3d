"""The JSON of people, organizations and keys."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import ApiKey, Membership
from accounts.models.organizations import Role
from accounts.services.api_keys import MAX_OVERLAP, SCOPES
from castcomm.common.api.serializers import StrictSerializer


class OrganizationOfMember(serializers.ModelSerializer[Membership]):
    """An organization as one of its members sees it."""

    id = serializers.UUIDField(source="organization.id")
    name = serializers.CharField(source="organization.name")
    slug = serializers.SlugField(source="organization.slug")
    time_zone = serializers.CharField(source="organization.time_zone")
    locale = serializers.CharField(source="organization.locale")

    class Meta:
        model = Membership
        fields = ("id", "name", "slug", "time_zone", "locale", "role", "domain_role")


class ProfileChanges(StrictSerializer):
    """What people change about themselves."""

    first_name = serializers.CharField(max_length=100, allow_blank=True, required=False)
    last_name = serializers.CharField(max_length=100, allow_blank=True, required=False)
    phone = serializers.CharField(max_length=32, allow_blank=True, required=False)
    locale = serializers.CharField(max_length=16, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)


class Profile(serializers.Serializer[Any]):
    """A person as they see themselves."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    display_name = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    phone = serializers.CharField()
    locale = serializers.CharField()
    time_zone = serializers.CharField()
    attributes = serializers.JSONField()
    organizations = OrganizationOfMember(many=True)


class Member(serializers.ModelSerializer[Membership]):
    """A member as other members see them; ``id`` is the user's id."""

    id = serializers.UUIDField(source="user.id")
    display_name = serializers.CharField(source="user.display_name")

    class Meta:
        model = Membership
        fields: tuple[str, ...] = ("id", "display_name", "domain_role")


class MemberForStaff(Member):
    """A member as staff see them."""

    email = serializers.EmailField(source="user.email")

    class Meta(Member.Meta):
        fields = (*Member.Meta.fields, "email", "role", "is_active", "created_at")


class AdmittedMember(MemberForStaff):
    """The answer to adding a member. Of an account that was there before it repeats the address that was asked for.

    Otherwise adding any address would tell whose it is.
    """

    display_name = serializers.SerializerMethodField()  # type: ignore[assignment]

    def get_display_name(self, membership: Membership) -> str:
        return membership.user.email if self.context["known_elsewhere"] else membership.user.display_name


class NewMember(StrictSerializer):
    """Someone who becomes a member, with a new account unless the address has one."""

    email = serializers.EmailField(max_length=254)
    first_name = serializers.CharField(max_length=100, allow_blank=True, required=False)
    last_name = serializers.CharField(max_length=100, allow_blank=True, required=False)
    phone = serializers.CharField(max_length=32, allow_blank=True, required=False)
    locale = serializers.CharField(max_length=16, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)
    attributes = serializers.DictField(required=False)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.MEMBER)
    domain_role = serializers.CharField(max_length=50, allow_blank=True, default="")


class MemberChanges(StrictSerializer):
    """What staff change about a member."""

    role = serializers.ChoiceField(choices=Role.choices, required=False)
    domain_role = serializers.CharField(max_length=50, allow_blank=True, required=False)
    is_active = serializers.BooleanField(required=False)
    attributes = serializers.DictField(required=False)


class KeyView(serializers.ModelSerializer[ApiKey]):
    """A key without its secret."""

    created_by = serializers.UUIDField(source="created_by_id", allow_null=True)

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id", "name", "prefix", "scopes", "created_at", "created_by",
            "expires_at", "last_used_at", "revoked_at",
        )  # fmt: skip


class NewKeyView(KeyView):
    """A key with its wire form, which is shown once."""

    key = serializers.CharField()

    class Meta(KeyView.Meta):
        fields = (*KeyView.Meta.fields, "key")


class NewKey(StrictSerializer):
    """What a key is made from."""

    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=list(SCOPES)), min_length=1)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class Rotation(StrictSerializer):
    """How long the old key keeps working, in seconds."""

    overlap_seconds = serializers.IntegerField(
        min_value=0, max_value=int(MAX_OVERLAP.total_seconds()), default=86400
    )


class Ticket(serializers.Serializer[Any]):
    """A ticket for one WebSocket."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="seconds")
