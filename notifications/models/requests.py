"""What was asked for, and what each person got of it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from castcomm.common.fields import EncryptedTextField
from castcomm.common.models import BaseModel, TenantModel
from notifications.vocabulary import Priority


class RequestStatus(models.TextChoices):
    FANNING_OUT = "fanning_out", "Being split into notifications"
    PAUSED = "paused", "Paused"
    DONE = "done", "All notifications written"
    CANCELLED = "cancelled", "Cancelled"
    INCOMPLETE = "incomplete", "Some parts could not be written"


class NotificationRequest(TenantModel):
    """One call to ``send_notification``, whoever made it."""

    # Hot tables name their indexes themselves: an index that nobody reads is paid for with every row.
    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    event_type = models.ForeignKey(
        "notifications.EventType", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    template = models.ForeignKey(
        "notifications.Template", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    source = models.CharField(max_length=40, help_text="Who asked: python, api, workflow, admin.")
    idempotency_key = models.CharField(max_length=255, blank=True)
    data = models.JSONField(default=dict)
    content = models.JSONField(null=True, help_text="Text given with the call, instead of a template.")
    mail = models.JSONField(
        null=True, help_text="What only a mail needs: reply_to, and whether there are attachments."
    )
    channels = models.JSONField(null=True, help_text="Channels named by the call; null means the default.")
    priority = models.PositiveSmallIntegerField(choices=Priority)
    critical = models.BooleanField(default=False)
    scheduled_for = models.DateTimeField(null=True)
    scheduled_local = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        help_text="Each recipient's own time, without a zone: 2026-12-24T09:00.",
    )
    tags = ArrayField(
        models.CharField(max_length=40), null=True, help_text="Tags in the inbox; null means none."
    )
    recipient_count = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=RequestStatus, default=RequestStatus.DONE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="notification_request_once",
            ),
        ]
        indexes = [models.Index(fields=["organization", "-created_at"], name="notification_request_recent")]

    def __str__(self) -> str:
        return str(self.id)


class Attachment(BaseModel):
    """A file that goes out with each mail of a request."""

    request = models.ForeignKey(NotificationRequest, on_delete=models.CASCADE, related_name="attachments")
    position = models.PositiveSmallIntegerField()
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    content = models.BinaryField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["request", "position"], name="attachment_once")]

    def __str__(self) -> str:
        return self.filename


class FanoutChunk(BaseModel):
    """A part of a large audience, which a worker turns into notifications. Deleted when it is done."""

    request = models.ForeignKey(NotificationRequest, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    recipients = models.JSONField()
    lease_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Failures so far. A part that has failed too often stays here, unwritten.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "position"], name="fanout_chunk_once")]
        indexes = [models.Index(fields=["created_at"], name="fanout_chunk_oldest")]

    def __str__(self) -> str:
        return f"{self.request_id} #{self.position}"


class Inbox(models.Model):
    """One person's inbox in one organization: the counter that orders everything in it.

    ``last_seq`` grows by one with each durable change (a new notification, read, archived …); the row that
    changed carries the number, so "everything after seq n" is one indexed range.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="inboxes")
    last_seq = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "inboxes"
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="inbox_once")]

    def __str__(self) -> str:
        return f"inbox of {self.user_id}"


class Notification(TenantModel):
    """One person's copy of a request; when it has an ``inbox_seq`` it is a row of their inbox.

    The data that came with the call is the request's: all its recipients share it.
    """

    # Copied from the request in the statement that writes both, so the database need not look them up again.
    organization = models.ForeignKey(
        "accounts.Organization",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    request = models.ForeignKey(
        NotificationRequest, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    event_type = models.ForeignKey(
        "notifications.EventType",
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, related_name="notifications"
    )
    address = EncryptedTextField(blank=True, help_text="A bare address, when the recipient is not a user.")
    priority = models.PositiveSmallIntegerField(choices=Priority)
    title = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True)
    action_url = models.CharField(max_length=2000, blank=True)
    # Null costs a row nothing; an empty list would.
    tags = ArrayField(models.CharField(max_length=40), null=True, help_text="Null means none.")
    actions = models.JSONField(
        null=True, help_text='Buttons: [{"key", "label", "url", "style"}]; null means none.'
    )
    actions_done = models.JSONField(null=True, help_text="Keys of the buttons that were used, and when.")
    inbox_seq = models.BigIntegerField(null=True, editable=False)
    seen_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    snoozed_until = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["organization", "user", "inbox_seq"],
                condition=models.Q(inbox_seq__isnull=False),
                name="notification_replay",
            ),
            models.Index(
                fields=["organization", "user", "-created_at", "-id"],
                condition=models.Q(inbox_seq__isnull=False),
                name="notification_inbox",
            ),
            # Lists what is unread in the order shown, and counts it without looking at the table.
            models.Index(
                fields=["organization", "user", "-created_at", "-id"],
                include=["seen_at", "snoozed_until", "expires_at"],
                condition=models.Q(inbox_seq__isnull=False, read_at__isnull=True, archived_at__isnull=True),
                name="notification_unread",
            ),
            # Two that are empty but for what their job has still to do.
            models.Index(
                fields=["snoozed_until"],
                condition=models.Q(snoozed_until__isnull=False),
                name="notification_snoozed",
            ),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(
                    expires_at__isnull=False, inbox_seq__isnull=False, archived_at__isnull=True
                ),
                name="notification_expiring",
            ),
            models.Index(fields=["request"], name="notification_of_request"),
        ]

    def __str__(self) -> str:
        return str(self.id)
