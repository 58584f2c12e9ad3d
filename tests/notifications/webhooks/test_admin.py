"""What staff see of receipts: on the delivery, on the notification, and in a list of their own."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from notifications.models import ProviderEvent
from notifications.services.explain import explain_notification
from notifications.services.receipts import record_receipts

from .test_states import receipt

pytestmark = pytest.mark.django_db
LIST = "/admin/notifications/providerevent/"


@pytest.fixture
def reported(sent: Any) -> Any:
    delivery = sent()
    record_receipts(
        [
            receipt("delivered", delivery, detail="250 taken"),
            receipt("opened", delivery, is_automatic=True, account="", provider="tracking"),
            receipt("bounced", delivery, delivery_id=None, detail="550 nobody's"),
        ]
    )
    return delivery


def test_the_deliverys_page_tells_what_was_reported(desk: Client, reported: Any) -> None:
    page = desk.get(f"/admin/notifications/delivery/{reported.id}/change/").content.decode()
    assert "250 taken" in page
    assert "Delivered" in page


def test_the_notifications_timeline_tells_it_too(desk: Client, reported: Any) -> None:
    page = desk.get(f"/admin/notifications/notification/{reported.notification_id}/change/").content.decode()
    assert "Delivered, reported by sendgrid. 250 taken" in page
    assert "Opened by a machine, not a person, seen by CastComm (tracking)." in page


def test_explain_lists_the_events_without_providers_words_for_recipients(reported: Any) -> None:
    told = explain_notification(notification_id=reported.notification_id, organization=None)
    (channel,) = [one for one in told["channels"] if one["channel"] == "email"]
    assert {(one["kind"], one["is_automatic"], one["detail"]) for one in channel["events"]} == {
        ("delivered", False, "250 taken"),
        ("opened", True, ""),
    }
    told = explain_notification(
        notification_id=reported.notification_id, organization=None, with_details=False
    )
    assert "250 taken" not in str(told)


def test_the_list_shows_staff_their_own_and_superusers_all(
    desk: Client, clerk: Any, reported: Any, make_user: Any, other_organization: Any
) -> None:
    page = desk.get(LIST).content.decode()
    assert "250 taken" in page
    assert "550 nobody's" not in page.replace("&#x27;", "'")
    unmatched = ProviderEvent.objects.get(delivery=None)
    own = ProviderEvent.objects.get(kind="delivered")
    assert desk.get(f"{LIST}{own.id}/change/").status_code == 200
    assert desk.get(f"{LIST}{unmatched.id}/change/").status_code == 302  # as for any id that does not exist

    stranger = make_user(organization=other_organization, role="staff", is_staff=True)
    client = Client()
    client.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    assert "250 taken" not in client.get(LIST).content.decode()
    assert client.get(f"{LIST}{own.id}/change/").status_code == 302

    clerk.is_superuser = True
    clerk.save()
    page = desk.get(LIST, {"matched": "no"}).content.decode().replace("&#x27;", "'")
    assert "550 nobody's" in page
    assert "250 taken" not in page
    page = desk.get(f"{LIST}{unmatched.id}/change/").content.decode()
    assert "550 nobody's" in page.replace("&#x27;", "'")
    assert unmatched.recipient_index
    assert unmatched.recipient_index not in page


def test_events_are_found_by_address_and_id_and_cannot_be_changed(desk: Client, reported: Any) -> None:
    own = ProviderEvent.objects.get(kind="delivered")
    for term in ("member@example.com", str(reported.id), str(own.id)):
        assert "250 taken" in desk.get(LIST, {"q": term}).content.decode()
    assert "250 taken" not in desk.get(LIST, {"q": "other@example.com"}).content.decode()
    assert desk.post(f"{LIST}{own.id}/delete/", {"post": "yes"}).status_code == 403
    assert desk.get(f"{LIST}add/").status_code == 403


def test_lists_make_the_same_queries_whatever_their_length(
    desk: Client, reported: Any, django_assert_max_num_queries: Any
) -> None:
    record_receipts([receipt("clicked", reported) for _ in range(30)])
    with django_assert_max_num_queries(14):
        desk.get(LIST)
