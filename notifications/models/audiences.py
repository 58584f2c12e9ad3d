"""Whom a message can be addressed to as a group: topics, lists; and a broadcast on its way through one."""

from __future__ import annotations

from django.db import models

from castcomm.common.fields import EncryptedTextField
from castcomm.common.models import BaseModel, TenantModel
from notifications.models.catalog import KEY


class Topic(TenantModel):
    """Something people subscribe to. What is published to it reaches all who are subscribed then."""

    key = models.CharField(max_length=100, validators=[KEY])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    is_open = models.BooleanField(
        "open",
        default=True,
        help_text="People may subscribe themselves; otherwise only staff and servers do it.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="topic_key_once")]

    def __str__(self) -> str:
        return self.name


class TopicSubscription(BaseModel):
    """A person who is subscribed to a topic. Members of the organization only; who has left gets nothing."""

    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="topic_subscriptions")
    source = models.CharField(max_length=20, blank=True, help_text="Who did it: person, link, api, admin.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["topic", "user"], name="topic_subscription_once")]

    def __str__(self) -> str:
        return f"{self.user_id} on {self.topic_id}"


class RecipientList(TenantModel):
    """People and bare addresses that staff or a server put together."""

    key = models.CharField(max_length=100, validators=[KEY])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "key"], name="recipient_list_key_once")
        ]

    def __str__(self) -> str:
        return self.name


class ListMember(BaseModel):
    """One entry of a list: a user, or an address (e-mail or E.164) that was nobody's when it was entered."""

    list = models.ForeignKey(RecipientList, on_delete=models.CASCADE, related_name="members", db_index=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, null=True, related_name="+")
    address = EncryptedTextField(blank=True)
    address_index = models.CharField(max_length=32, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["list", "user"],
                condition=models.Q(user__isnull=False),
                name="list_member_person_once",
            ),
            models.UniqueConstraint(
                fields=["list", "address_index"],
                condition=models.Q(user__isnull=True),
                name="list_member_address_once",
            ),
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, address_index="")
                | (models.Q(user__isnull=True) & ~models.Q(address_index="")),
                name="list_member_is_one_of_both",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user_id) if self.user_id else "address"


class BroadcastPhase(models.TextChoices):
    PEOPLE = "people", "People"
    ADDRESSES = "addresses", "Bare addresses"
    FINISHED = "finished", "Finished"


class Broadcast(TenantModel):
    """A request whose recipients are groups, on its way through them.

    Recipients are never stored: they are read in the order of ``after`` (user ids, then address indexes), a chunk at a
    time, and each chunk moves ``after`` in the transaction that writes it. Being in several groups makes nobody
    get it twice. ``audience`` is a list of ``{"topic": key}``, ``{"list": key}``, ``{"role": role}`` and
    ``{"organization": true}``. Its state is the request's: fanning_out, paused, done, cancelled, incomplete.
    """

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    request = models.OneToOneField(
        "notifications.NotificationRequest", on_delete=models.CASCADE, related_name="broadcast"
    )
    audience = models.JSONField()
    phase = models.CharField(max_length=9, choices=BroadcastPhase, default=BroadcastPhase.PEOPLE)
    after = models.CharField(max_length=36, blank=True, help_text="The last recipient that was written.")
    total = models.PositiveIntegerField(help_text="How many there were when it was accepted.")
    written = models.PositiveIntegerField(default=0, help_text="Notifications written so far.")
    lease_until = models.DateTimeField(null=True, help_text="Not looked at before: a chunk failed.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Failures of the present chunk.")
    paused_at = models.DateTimeField(null=True)
    paused_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(finished_at__isnull=True),
                name="broadcast_unfinished",
            ),
            models.Index(fields=["organization", "-created_at"], name="broadcast_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.written} of {self.total}"
