"""The workflows of the demo organization."""

from __future__ import annotations

from accounts.models import Organization
from workflows.models import Workflow
from workflows.services.ready_made import install_ready_made


def load(organization: Organization) -> Workflow:
    """Document A's Welcome Sequence, published; loading again changes nothing."""
    return install_ready_made(organization=organization, key="welcome_sequence")
