"""Something that was said."""

from __future__ import annotations

from django.db import models

from castcomm.common.models import TenantModel


class Message(TenantModel):
    """A message; its creation is the thread's durable change number ``seq``.

    ``client_id`` is the sender's own name for it and is never free again. ``fingerprint`` is of what was
    first sent, so that a repeated send is recognised after an edit too. A deleted message keeps its row and
    its place; what it said is no longer shown to anybody in the thread.
    """

    # The thread's own constraint binds the organization; a second check per message would make all senders of
    # an organization share one row lock.
    organization = models.ForeignKey(
        "accounts.Organization",
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    thread = models.ForeignKey(
        "messaging.Thread", on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    seq = models.BigIntegerField(editable=False)
    msg_seq = models.BigIntegerField(editable=False)
    # Whoever wrote something is made anonymous rather than deleted: the others keep the conversation.
    sender = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.CharField(max_length=100, editable=False)
    fingerprint = models.BinaryField(max_length=16, editable=False)
    content = models.TextField()
    reply_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["sender", "client_id"], name="message_client_id_once"),
            models.UniqueConstraint(fields=["thread", "seq"], name="message_seq_once"),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="message_by_organization"),
            models.Index(
                fields=["reply_to"], condition=models.Q(reply_to__isnull=False), name="message_by_reply_to"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.thread_id} #{self.seq}"
