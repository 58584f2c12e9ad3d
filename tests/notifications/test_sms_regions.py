"""Where SMS may go: regions of the deployment and of an organization, premium and short numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from notifications.checks import check_sms_regions
from notifications.models import Delivery, EventType, NotificationRequest, ProviderAccount
from notifications.services import sms_regions
from notifications.services.sending import SendResult
from notifications.services.sms_regions import allowed_regions, may_text
from notifications.stand_ins import StandIn

from .conftest import states

GERMAN, SWISS, AMERICAN, JAMAICAN = "+4915112345678", "+41791234567", "+12025550123", "+18765550123"
UNASSIGNED = "+15558675310"  # no region of calling code 1 has it


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    sms_regions.forget_regions()
    yield
    sms_regions.forget_regions()


@pytest.mark.parametrize(
    ("phone", "allowed", "expected"),
    [
        (GERMAN, None, True),
        (UNASSIGNED, None, True),
        (GERMAN, {"DE"}, True),
        (GERMAN, {"AT", "CH"}, False),
        (AMERICAN, {"US"}, True),
        (JAMAICAN, {"US"}, False),
        (UNASSIGNED, {"US"}, False),
        ("+4930123456", {"DE"}, True),
        ("+88216123456", {"DE"}, False),
        (GERMAN, set(), False),
        # What charges the caller.
        ("+19005551234", None, False),
        ("+449098790000", None, False),
        ("+498001234567", None, True),
        ("+4918012345", None, False),
        ("+979123456789", None, False),
        # Short numbers, and numbers without their area.
        ("+49110", None, False),
        ("+49116117", None, False),
        ("+4911833", None, False),
        ("+15550123", None, False),
        ("nonsense", None, False),
    ],
)
def test_which_number_is_texted(phone: str, allowed: set[str] | None, expected: bool) -> None:
    assert may_text(phone, None if allowed is None else frozenset(allowed)) is expected


@pytest.mark.parametrize(
    ("deployment", "own", "expected"),
    [
        ([], None, None),
        ([], [], None),
        (["DE", "AT"], None, {"DE", "AT"}),
        (["DE", "AT"], ["at", " CH "], {"AT"}),
        ([], ["ch"], {"CH"}),
        ([], "de, ch", {"DE", "CH"}),
        (["DE"], ["CH"], set()),
        # A slip of the pen opens nothing.
        ([], {"DE": True}, set()),
        ([], 49, set()),
    ],
)
def test_an_organization_narrows_and_never_widens(
    deployment: list[str], own: Any, expected: set[str] | None
) -> None:
    with override_settings(SMS_ALLOWED_REGIONS=deployment):
        found = allowed_regions({} if own is None else {"sms_regions": own})
    assert found == expected


@override_settings(SMS_ALLOWED_REGIONS=["DE"])
def test_bare_numbers_elsewhere_are_refused_before_anything_is_written(
    news: EventType, send: Callable[..., SendResult]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        send({"phone": GERMAN}, {"email": "a@example.com"}, {"phone": SWISS})
    assert (refused.value.attr, refused.value.code) == ("recipients.2", "region_not_allowed")
    many = [{"phone": f"+4915112{number:06}"} for number in range(600)] + [{"phone": SWISS}]
    with pytest.raises(InvalidInput) as refused:
        send(*many)
    assert refused.value.attr == "recipients.600"
    assert not NotificationRequest.objects.exists()
    assert send({"phone": GERMAN}).recipient_count == 1


def test_the_organization_s_own_list_counts_for_bare_numbers(
    news: EventType, send: Callable[..., SendResult], organization: Organization
) -> None:
    organization.settings = {"sms_regions": ["CH"]}
    organization.save()
    with pytest.raises(InvalidInput):
        send({"phone": GERMAN})
    assert send({"phone": SWISS}).recipient_count == 1


def test_a_person_s_number_is_looked_at_when_it_is_sent(
    make_event_type: Callable[..., EventType],
    send: Callable[..., SendResult],
    drain: Callable[..., int],
    make_user: Callable[..., User],
    organization: Organization,
    twilio_far: StandIn,
    twilio_account: ProviderAccount,
) -> None:
    make_event_type("news", channels=["sms"])
    people = [make_user(organization=organization, phone=phone) for phone in (GERMAN, SWISS, "+19005551234")]
    with override_settings(SMS_ALLOWED_REGIONS=["DE"]):
        send(*people)
        drain("sms")
    assert [one.to for one in twilio_far.accepted("twilio")] == [GERMAN]
    for person in people[1:]:
        assert states(notification__user=person) == {"sms": ("suppressed", "region")}
    assert Delivery.objects.get(notification__user=people[0]).status == "sent"


def test_codes_of_no_country_fail_the_check() -> None:
    with override_settings(SMS_ALLOWED_REGIONS=["DE", "XX", "GERMANY"]):
        (found,) = check_sms_regions(None)
    assert found.id == "castcomm.E024"
    assert "XX, GERMANY" in found.msg
    with override_settings(SMS_ALLOWED_REGIONS=["DE"]):
        assert check_sms_regions(None) == []
