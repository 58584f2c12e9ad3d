"""Where tracked links lead, and what is recorded of who follows them."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.ids import new_id
from notifications.models import Delivery, EventType, ProviderEvent, TrackedLink
from notifications.services import opens_and_clicks
from notifications.services.automatic_readers import Reader, automatic_reader
from notifications.services.tracking import add_tracking
from notifications.services.tracking_tokens import click_tokens, open_token

pytestmark = pytest.mark.django_db
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TARGET = "https://shop.example/offers?x=1&y=2#top"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    opens_and_clicks.forget_urls()
    yield
    opens_and_clicks.forget_urls()


@pytest.fixture
def browser() -> Client:
    return Client(headers={"user-agent": PERSON})


@pytest.fixture
def delivery(organization: Organization, news: EventType, send: Callable[..., Any], member: User) -> Delivery:
    """A mail that went out an hour ago."""
    send(member, channels=["email"])
    delivery: Delivery = Delivery.objects.get(channel="email")
    delivery.status, delivery.provider, delivery.sent_at = "sent", "smtp", now() - dt.timedelta(hours=1)
    delivery.save()
    return delivery


@pytest.fixture
def click_address(organization: Organization, delivery: Delivery) -> Callable[..., str]:
    """Put a link into the mail and give its address."""

    def make(url: str = TARGET, delivery_id: uuid.UUID | None = None) -> str:
        html = add_tracking(
            f'<a href="{url.replace("&", "&amp;")}">x</a>',
            organization_id=organization.id,
            delivery_id=delivery_id or delivery.id,
            opens=False,
            clicks=True,
        )
        found = re.search(r"/t/c/[\w-]+", html)
        assert found is not None
        return found[0]

    return make


def seen() -> list[tuple[str, bool]]:
    return list(
        ProviderEvent.objects.filter(provider="castcomm").order_by("id").values_list("kind", "is_automatic")
    )


def status_of(delivery: Delivery) -> str:
    delivery.refresh_from_db()
    return delivery.status


def test_a_click_leads_to_the_stored_address_and_is_recorded(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    answer = browser.get(click_address())
    assert (answer.status_code, answer["Location"]) == (302, TARGET)
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies
    assert seen() == [("clicked", False)]
    assert status_of(delivery) == "clicked"
    assert delivery.clicked_at is not None


def test_the_picture_is_a_picture_and_tells_once_a_day(browser: Client, delivery: Delivery) -> None:
    for _ in range(3):
        answer = browser.get(f"/t/o/{open_token(delivery.id)}.gif")
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/gif")
        assert answer.content.startswith(b"GIF89a")
        assert "no-store" in answer["Cache-Control"]
        assert not answer.cookies
    assert seen() == [("opened", False)]
    assert status_of(delivery) == "opened"


def test_head_and_other_methods_record_nothing(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    address = click_address()
    answer = browser.head(address)
    assert (answer.status_code, answer["Location"]) == (302, TARGET)
    assert browser.head(f"/t/o/{open_token(delivery.id)}.gif").status_code == 200
    assert browser.post(address).status_code == 405
    assert seen() == []


def test_nothing_leads_anywhere_else(browser: Client, click_address: Any, delivery: Delivery) -> None:
    address = click_address()
    evil = "https://evil.example/"
    assert browser.get(f"{address}?url={evil}&next={evil}")["Location"] == TARGET
    (unknown,) = click_tokens(delivery.id, [new_id()])
    wrong = [
        f"/t/c/{unknown}",
        f"{address[:-2]}xx",
        f"{address}x",
        f"/t/c/{open_token(delivery.id)}",
        "/t/c/x",
        "/t/c/" + evil.replace("/", "%2F"),
    ]
    for one in wrong:
        answer = browser.get(one)
        assert answer.status_code == 404, one
        assert "Location" not in answer
    assert b"This link does not work" in browser.get("/t/c/x").content


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "data:text/html,x", "/inbox/"])
def test_an_address_that_no_mail_has_is_not_followed(
    browser: Client, organization: Organization, delivery: Delivery, url: str
) -> None:
    link = TrackedLink.objects.create(organization=organization, url=url, digest="0" * 64)
    (token,) = click_tokens(delivery.id, [link.id])
    assert browser.get(f"/t/c/{token}").status_code == 404


def test_letters_beyond_ascii_arrive(browser: Client, click_address: Any) -> None:
    answer = browser.get(click_address("https://shop.example/größe?q=ü%20x"))
    assert answer["Location"] == "https://shop.example/gr%C3%B6%C3%9Fe?q=%C3%BC%20x"


def test_a_picture_with_a_wrong_token_is_still_a_picture(browser: Client, delivery: Delivery) -> None:
    assert browser.get("/t/o/nonsense.gif").status_code == 200
    assert browser.get(f"/t/o/{open_token(new_id())}.gif").status_code == 200
    assert seen() == []


def test_repeats_do_not_flood_and_another_link_is_another_event(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    for _ in range(3):
        browser.get(click_address())
    browser.get(click_address("https://shop.example/other"))
    assert seen() == [("clicked", False)] * 2


@pytest.mark.parametrize(
    ("agent", "who"),
    [
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "Google",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "Yahoo"),
        ("Mozilla/5.0", "Apple"),
        ("BarracudaCentral/1.0", "Barracuda"),
        ("Mozilla/5.0 (compatible; proofpoint.com)", "Proofpoint"),
        ("Mozilla/5.0 (Windows NT 10.0) SafeLinks", "Microsoft"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "a "),
        ("python-requests/2.32.0", "a program"),
        ("", "a program"),
    ],
)
def test_machines_are_recognised_by_what_they_call_themselves(
    browser: Client, click_address: Any, delivery: Delivery, agent: str, who: str
) -> None:
    browser.get(click_address(), headers={"user-agent": agent})
    browser.get(f"/t/o/{open_token(delivery.id)}.gif", headers={"user-agent": agent})
    assert seen() == [("clicked", True), ("opened", True)]
    assert all(event.detail.startswith(who) for event in ProviderEvent.objects.all())
    assert status_of(delivery) == "sent"
    # Who comes after the machine, on the same day, is seen.
    browser.get(click_address())
    assert status_of(delivery) == "clicked"


@pytest.mark.parametrize(
    ("agent", "address", "prefetch", "machine"),
    [
        (PERSON, "203.0.113.7", False, False),
        (PERSON, "17.58.1.2", False, True),
        (PERSON, "::ffff:17.58.1.2", False, True),
        (PERSON, "2620:149:af0::10", False, True),
        (PERSON, "no address", False, False),
        (PERSON, "203.0.113.7", True, True),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.5 Mobile/15E148 Safari/604.1",
            "203.0.113.7",
            False,
            False,
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 "
            "Safari/537.36 Edg/139.0.0.0",
            "",
            False,
            False,
        ),
        ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", "", False, False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/139.0", "", False, False),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "", False, True),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Thunderbird/140.1",
            "",
            False,
            False,
        ),
    ],
)
def test_people_are_not_taken_for_machines(agent: str, address: str, prefetch: bool, machine: bool) -> None:
    reader = Reader(user_agent=agent, address=address, is_prefetch=prefetch)
    assert bool(automatic_reader(reader)) is machine


def test_several_links_at_once_right_after_sending_are_a_scanner(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    Delivery.objects.update(sent_at=now() - dt.timedelta(seconds=30))
    for number in range(4):
        browser.get(click_address(f"https://shop.example/{number}"))
    assert seen() == [("clicked", True)] * 4
    assert "several links" in ProviderEvent.objects.earliest("id").detail


def test_a_click_in_the_moment_of_sending_is_no_person(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    Delivery.objects.update(sent_at=now())
    browser.get(click_address())
    assert seen() == [("clicked", True)]
    assert status_of(delivery) == "sent"


def test_several_links_an_hour_later_are_a_reader(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    for number in range(3):
        browser.get(click_address(f"https://shop.example/{number}"))
    assert seen() == [("clicked", False)] * 3


@pytest.mark.parametrize("who", ["setting", "organization", "person"])
def test_who_says_no_later_is_no_longer_recorded(
    browser: Client, click_address: Any, delivery: Delivery, member: User, settings: Any, who: str
) -> None:
    address = click_address()
    if who == "setting":
        settings.TRACKING_ENABLED = False
    elif who == "organization":
        Organization.objects.update(track_opens=False, track_clicks=False)
    else:
        member.allow_tracking = False
        member.save()
    # The link still leads where it led.
    assert browser.get(address)["Location"] == TARGET
    browser.get(f"/t/o/{open_token(delivery.id)}.gif")
    assert seen() == []


def test_nothing_personal_is_kept(browser: Client, click_address: Any, delivery: Delivery) -> None:
    browser.get(click_address(), REMOTE_ADDR="203.0.113.7")
    event = ProviderEvent.objects.get()
    assert event.payload == {"link": str(TrackedLink.objects.get().id)}
    assert "203.0.113.7" not in f"{event.__dict__}"
    assert "Firefox" not in f"{event.__dict__}"


def test_a_mail_that_was_cleared_away_still_leads_on(
    browser: Client, click_address: Any, delivery: Delivery
) -> None:
    address = click_address()
    Delivery.objects.all().delete()
    assert browser.get(address)["Location"] == TARGET
    assert seen() == []


class Away:
    """The database, for as long as it does not answer."""

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        raise OperationalError("the connection is lost")


def test_without_the_database_a_known_link_leads_on_and_an_unknown_one_says_so(
    browser: Client, click_address: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, unknown = click_address(), click_address("https://shop.example/other")
    browser.get(known)

    def lost(**_fields: Any) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr("notifications.public.tracked.record_click", lost)
    with connection.execute_wrapper(Away()):
        assert browser.get(known)["Location"] == TARGET
        answer = browser.get(unknown)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert b"try again" in answer.content
    assert browser.get(unknown).status_code == 302
