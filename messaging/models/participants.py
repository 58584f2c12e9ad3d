"""A person in a thread."""

from __future__ import annotations

from django.db import models

from castcomm.common.clock import now
from castcomm.common.models import TenantModel


class Role(models.TextChoices):
    """What a participant may do, strongest first."""

    OWNER = "owner", "Owner"
    MODERATOR = "moderator", "Moderator"
    MEMBER = "member", "Member"
    READ_ONLY = "read_only", "Read only"


class Participant(TenantModel):
    """A person in a thread, and how far they have read. Whoever leaves keeps the row, with ``left_at``.

    ``last_read_seq`` is the high-water mark, in the numbers that frames and messages carry (``Thread.seq``).
    ``seen_count`` is how many messages are not unread for this person: those up to the mark and their own
    after it. So ``Thread.msg_seq - seen_count`` is the number of unread messages; nothing is ever counted
    down, and nobody's own message is unread to them. Both only grow.

    ``archived_at``: the thread is out of the way until something newer is said (for good if ``is_muted``).
    """

    thread = models.ForeignKey(
        "messaging.Thread", on_delete=models.CASCADE, related_name="participants", db_index=False
    )
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+", db_index=False)
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    joined_at = models.DateTimeField(default=now, editable=False)
    left_at = models.DateTimeField(null=True, editable=False)
    last_read_seq = models.BigIntegerField(default=0, editable=False)
    seen_count = models.BigIntegerField(default=0, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    is_muted = models.BooleanField("muted", default=False)

    class Meta:
        ordering = ["joined_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["thread", "user"], name="participant_once"),
        ]
        indexes = [
            models.Index(fields=["user", "organization"], name="participant_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.thread}"

    @property
    def may_moderate(self) -> bool:
        """Whether this person may change the thread and delete what others wrote."""
        return self.role in {Role.OWNER, Role.MODERATOR}
