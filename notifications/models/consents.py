"""What people agreed to and took back, with the proof."""

from __future__ import annotations

from django.db import models

from castcomm.common.fields import EncryptedTextField
from castcomm.common.models import TenantModel
from notifications.models.preferences import PreferenceScope
from notifications.vocabulary import Channel


class ConsentSource(models.TextChoices):
    SIGNED_IN = "signed_in", "The person, signed in"
    SIGNED_LINK = "signed_link", "The person, by the link in a mail"
    ONE_CLICK = "one_click", "The mail program (RFC 8058)"
    SMS_REPLY = "sms_reply", "A reply by SMS"
    API = "api", "A server, through the API"
    STAFF = "staff", "Staff"
    IMPORT = "import", "An import"


class ConsentRecord(TenantModel):
    """One decision, in the order of ids. Rows are only ever added; the last one about a matter holds.

    The matter is ``scope`` and ``key`` (a category's, event type's or topic's key at that time), and ``channel``
    (empty: all). The proof is what the person was shown (``wording``), where it came from, and ``seal``: an HMAC over
    all of it and the person's seal before, so that a row can be neither changed nor taken out unnoticed.
    """

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, null=True, related_name="consents")
    address_index = models.CharField(max_length=32, blank=True, help_text="Of a bare address.")
    scope = models.CharField(max_length=10, choices=[*PreferenceScope.choices, ("topic", "A topic")])
    key = models.CharField(max_length=100, blank=True)
    channel = models.CharField(max_length=10, choices=Channel, blank=True)
    granted = models.BooleanField(null=True, help_text="Empty: the choice was taken away.")
    source = models.CharField(max_length=11, choices=ConsentSource)
    wording = models.TextField(blank=True)
    locale = models.CharField(max_length=16, blank=True)
    ip_address = EncryptedTextField(blank=True)
    user_agent = models.CharField(max_length=400, blank=True)
    delivery_id = models.UUIDField(null=True, help_text="The mail whose link was used.")
    actor = models.ForeignKey(
        "accounts.User",
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="Who did it for them.",
    )
    seal = models.CharField(max_length=64, editable=False)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["organization", "address_index", "-id"],
                condition=~models.Q(address_index=""),
                name="consent_of_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key} {self.channel or 'all channels'}: {self.granted}"
