"""What the demo organization has of the notification system."""

from __future__ import annotations

from accounts.models import Organization
from castcomm.common.as_code.installing import Installed
from notifications.services.ready_made import install_ready_made


def load(organization: Organization) -> list[Installed]:
    """Install the ready-made messages; safe to run again. Returns what became of each."""
    return install_ready_made(organization=organization)
