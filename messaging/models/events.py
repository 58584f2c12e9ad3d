"""Every durable change of a thread that is not a new message."""

from __future__ import annotations

from django.db import models

from castcomm.common.models import TenantModel


class ThreadEvent(TenantModel):
    """One change, numbered in the same sequence as the messages. Insert-only.

    Together with the messages it is the whole history of a thread: each number from 1 to ``Thread.seq`` is
    either a message or one of these. ``data`` holds what cannot be read from the rows as they are now: for an
    edit what the message said before, for a participant the role.
    """

    class Kind(models.TextChoices):
        MESSAGE_EDITED = "message_edited", "Message edited"
        MESSAGE_DELETED = "message_deleted", "Message deleted"
        PARTICIPANT_ADDED = "participant_added", "Participant added"
        PARTICIPANT_REMOVED = "participant_removed", "Participant removed"
        PARTICIPANT_LEFT = "participant_left", "Participant left"
        ROLE_CHANGED = "role_changed", "Role changed"
        THREAD_CHANGED = "thread_changed", "Subject or metadata changed"

    thread = models.ForeignKey(
        "messaging.Thread", on_delete=models.CASCADE, related_name="events", db_index=False
    )
    seq = models.BigIntegerField(editable=False)
    kind = models.CharField(max_length=30, choices=Kind, editable=False)
    actor = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    user = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    message = models.ForeignKey(
        "messaging.Message", on_delete=models.CASCADE, null=True, editable=False, related_name="events"
    )
    data = models.JSONField(default=dict, editable=False)

    class Meta:
        ordering = ["thread", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["thread", "seq"], name="thread_event_seq_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.seq}"
