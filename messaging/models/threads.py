"""A conversation."""

from __future__ import annotations

from django.db import models

from castcomm.common.clock import now
from castcomm.common.models import TenantModel


class Kind(models.TextChoices):
    """What sort of conversation it is; it never changes."""

    DIRECT = "direct", "Direct"
    GROUP = "group", "Group"
    ROOM = "room", "Room"


class Thread(TenantModel):
    """A conversation and its two counters.

    ``seq`` counts every durable change (messages and ``ThreadEvent`` rows share it), ``msg_seq`` counts
    messages alone. Both are gapless: they are only raised while this row is locked, in the transaction that
    writes what they number. ``active_at`` is the time of the newest message, or of the creation.
    """

    kind = models.CharField(max_length=10, choices=Kind, editable=False)
    subject = models.CharField(max_length=200, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    seq = models.BigIntegerField(default=0, editable=False)
    msg_seq = models.BigIntegerField(default=0, editable=False)
    # No index and no constraint in the database: this changes with every message, and PostgreSQL can then
    # rewrite the row in place.
    last_message = models.ForeignKey(
        "messaging.Message",
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    active_at = models.DateTimeField(default=now, editable=False)
    direct_key = models.CharField(max_length=80, null=True, editable=False)
    created_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-active_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "direct_key"], name="thread_direct_once"),
        ]

    def __str__(self) -> str:
        return self.subject or f"{self.get_kind_display()} {self.id}"
