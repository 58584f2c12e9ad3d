"""Organizations isolate everything; a membership says who a person is in one of them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from castcomm.common.models import BaseModel, TenantModel


class Organization(BaseModel):
    """A tenant. ``catalog_revision`` grows with each change of an event type or template (see notifications)."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    locale = models.CharField(max_length=16, default="en")
    settings = models.JSONField(default=dict, blank=True)
    catalog_revision = models.PositiveBigIntegerField(default=1, editable=False)
    is_active = models.BooleanField(default=True)
    open_sign_up = models.BooleanField(
        "open to sign-up",
        default=False,
        help_text="Whoever names this organization when signing up becomes a member.",
    )
    track_opens = models.BooleanField(default=True, help_text="Mails carry an invisible picture that tells.")
    track_clicks = models.BooleanField(default=True, help_text="Links in mails lead over CastComm.")
    sends_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="At most so many messages per channel; the rest waits. Empty means no limit.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do, strongest first."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    STAFF = "staff", "Staff"
    MEMBER = "member", "Member"


class Membership(TenantModel):
    """A person in an organization. ``domain_role`` is the customer's own word, such as ACTOR."""

    # Named anew for the reverse name; the rest is as in TenantModel.
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    domain_role = models.CharField(max_length=50, blank=True)
    is_active = models.BooleanField(default=True)
    # The person signed up and has not confirmed the address yet: UserRegistered is still to be published.
    registration_pending = models.BooleanField(default=False, editable=False)

    STAFF_ROLES: ClassVar[frozenset[str]] = frozenset({Role.OWNER, Role.ADMIN, Role.STAFF})

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once"),
        ]
        indexes = [
            models.Index(fields=["organization", "domain_role"], name="membership_by_domain_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"

    @property
    def is_staff(self) -> bool:
        """Whether this person works for the organization rather than only receiving its messages."""
        return self.role in self.STAFF_ROLES
