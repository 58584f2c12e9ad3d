"""What the demo organization has of the notification system."""

from __future__ import annotations

from accounts.models import Organization
from notifications.services.ready_made import install_ready_made


def load(organization: Organization) -> list[str]:
    """Install the ready-made messages; safe to run again. Returns what was added."""
    return install_ready_made(organization=organization)
