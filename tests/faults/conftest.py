"""Two thousand mails that wait, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from accounts.models import Organization
from notifications.models import Category, Delivery, EventType
from notifications.services.sending import send_notification
from tests.notifications.smtp_server import SmtpServer

MAILS = 2_000


@dataclass
class Outcome:
    """Every mail is in one of the first, third or fourth number."""

    accepted: int
    arrived: int
    duplicates: int
    unknown: int
    other: int
    seconds: float

    def show(self, what: str) -> None:
        print(
            f"\n{what:34} accepted {self.accepted}  arrived {self.arrived}  duplicates {self.duplicates}  "
            f"unknown {self.unknown}  other {self.other}  recovered in {self.seconds:.1f} s"
        )


@pytest.fixture
def accept_mails(organization: Organization) -> Callable[..., None]:
    """Send to two thousand addresses."""

    def accept(*, duplicates_allowed: bool = False) -> None:
        category = Category.objects.create(organization=organization, key="c", name="C")
        EventType.objects.create(
            organization=organization,
            key="news",
            name="News",
            category=category,
            channels=["email"],
            duplicates_allowed=duplicates_allowed,
        )
        for start in range(0, MAILS, 500):
            send_notification(
                organization=organization,
                recipients=[f"person-{number}@example.com" for number in range(start, start + 500)],
                event_type="news",
                content={"title": "Hello", "body": "A mail that must arrive."},
            )

    return accept


def all_settled() -> bool:
    return not Delivery.objects.filter(status__in=["pending", "deferred", "sending"]).exists()


def outcome(server: SmtpServer, seconds: float) -> Outcome:
    arrived = Counter(server.deliveries)
    states = Counter(str(status) for status in Delivery.objects.values_list("status", flat=True))
    return Outcome(
        accepted=sum(states.values()),
        arrived=len(arrived),
        duplicates=sum(arrived.values()) - len(arrived),
        unknown=states["unknown"],
        other=sum(states.values()) - states["sent"] - states["unknown"],
        seconds=seconds,
    )
