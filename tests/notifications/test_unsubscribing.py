"""The page behind a mail's link: one click, buttons, the way back, and what scanners must not do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Organization, User
from castcomm.common.ids import new_id
from notifications.models import Category, Delivery, EventType, Preference, ProviderEvent, Suppression
from notifications.services.effective_preferences import effective_preferences
from notifications.services.mail_links import links_for
from notifications.services.preferences import Change, set_switches
from notifications.services.suppressions import suppress_address

pytestmark = pytest.mark.django_db
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def browser() -> Client:
    """Signed out; forms of other sites are refused wherever they are checked."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def address_of(organization: Organization, news: EventType, send: Callable[..., Any]) -> Callable[..., str]:
    """Send a mail and give the address of its link."""

    def make(recipient: Any, **fields: Any) -> str:
        send(recipient, channels=["email"])
        delivery = Delivery.objects.for_organization(organization).latest("created_at")
        bare = isinstance(recipient, str)
        given: dict[str, Any] = {
            "organization_id": organization.id,
            "user_id": None if bare else recipient.id,
            "email": recipient if bare else recipient.email,
            "delivery_id": delivery.id,
            "category_id": news.category_id,
            "is_critical": False,
            **fields,
        }
        return "/u/" + links_for(**given).unsubscribe_url.rsplit("/", 1)[1]

    return make


def gets_mail(organization: Organization, user: User, event_type: str = "news") -> bool:
    cells = effective_preferences(organization=organization, user=user)
    return next(c["effective"] for c in cells if (c["event_type"], c["channel"]) == (event_type, "email"))


def events() -> list[tuple[str, str, str]]:
    return [
        (row.kind, row.payload["how"], row.payload["scope"])
        for row in ProviderEvent.objects.filter(provider="castcomm").order_by("event_key")
    ]


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_changes_nothing(
    browser: Client, address_of: Any, member: User, organization: Organization, method: str
) -> None:
    answer = getattr(browser, method)(address_of(member), headers={"Sec-Purpose": "prefetch"})
    assert answer.status_code == 200
    assert gets_mail(organization, member)
    assert not Preference.objects.exists()
    assert events() == []
    if method == "get":
        page = answer.content.decode()
        assert "Unsubscribe from General" in page
        assert "First" in page
        assert "Stop all mail of First" in page
        assert "/p/" in page
        assert "member@example.com" not in page
    assert answer["Cache-Control"] == "no-store, private"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer["X-Robots-Tag"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not answer.cookies


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
def test_one_click_switches_the_category_off(
    browser: Client, address_of: Any, member: User, organization: Organization, form: str
) -> None:
    address = address_of(member)
    if form == "multipart":
        answer = browser.post(address, ONE_CLICK)
    else:
        answer = browser.post(
            address, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
    # RFC 8058: no cookies, no redirect, done.
    assert answer.status_code == 200
    assert not answer.cookies
    assert not gets_mail(organization, member)
    row = Preference.objects.get()
    assert (row.user, row.scope, row.channel, row.enabled) == (member, "category", "email", False)
    assert events() == [("unsubscribed", "one-click", "category")]
    event = ProviderEvent.objects.get()
    assert event.delivery_id == Delivery.objects.get().id
    assert event.recipient_index == member.email_index
    assert "You are unsubscribed" in answer.content.decode()


def test_the_same_click_again_is_nothing_new(
    browser: Client, address_of: Any, member: User, organization: Organization
) -> None:
    address = address_of(member)
    for _ in range(3):
        assert browser.post(address, ONE_CLICK).status_code == 200
    assert Preference.objects.count() == 1
    assert len(events()) == 1


def test_other_categories_and_channels_go_on(
    browser: Client, address_of: Any, member: User, organization: Organization, make_event_type: Any
) -> None:
    make_event_type("offers", category="offers")
    browser.post(address_of(member), {"action": "category"})
    assert gets_mail(organization, member, "offers")
    cells = effective_preferences(organization=organization, user=member)
    assert next(c["effective"] for c in cells if (c["event_type"], c["channel"]) == ("news", "in_app"))


def test_what_the_person_had_turned_on_in_detail_stops_too_and_comes_back(
    browser: Client, address_of: Any, member: User, organization: Organization, make_event_type: Any
) -> None:
    make_event_type("offers", category="offers")
    wanted = [
        Change("event_type", "news", "email", True),
        Change("category", "offers", "", True),
        Change("global", "", "email", True),
    ]
    set_switches(organization=organization, user=member, changes=wanted)
    before = set(Preference.objects.values_list("scope", "channel", "enabled"))
    address = address_of(member)
    browser.post(address, {"action": "category"})
    assert not gets_mail(organization, member)
    assert gets_mail(organization, member, "offers")
    page = browser.post(address, {"action": "all"}).content.decode()
    assert "You get no more e-mail from" in page
    assert not gets_mail(organization, member, "offers")

    browser.post(address, {"action": "undo"})
    assert gets_mail(organization, member, "offers")
    assert not gets_mail(organization, member)
    page = browser.post(address, {"action": "undo"}).content.decode()
    assert "That is undone" in page
    assert set(Preference.objects.values_list("scope", "channel", "enabled")) == before
    assert all("undone_at" in event.payload for event in ProviderEvent.objects.all())
    # Nothing is left to undo.
    assert "undo it" not in browser.get(address).content.decode()
    assert browser.post(address, {"action": "undo"}).status_code == 200


def test_undoing_leaves_what_was_changed_since(
    browser: Client, address_of: Any, member: User, organization: Organization
) -> None:
    address = address_of(member)
    browser.post(address, {"action": "category"})
    set_switches(
        organization=organization, user=member, changes=[Change("category", "general", "email", True)]
    )
    browser.post(address, {"action": "undo"})
    assert Preference.objects.get().enabled is True


def test_an_organization_that_sends_nothing_by_mail_has_nothing_to_stop(
    browser: Client, address_of: Any, member: User, organization: Organization
) -> None:
    address = address_of(member)
    set_switches(organization=organization, user=None, changes=[Change("global", "", "email", False)])
    page = browser.get(address).content.decode()
    assert "You get no more e-mail from" in page


def test_a_bare_address_goes_on_the_list_and_comes_off_it(
    browser: Client, address_of: Any, organization: Organization, send: Any
) -> None:
    address = address_of("ann@example.com")
    page = browser.get(address).content.decode()
    assert "Stop all mail of First" in page
    assert "/preferences/" not in page
    assert "ann@" not in page
    for _ in range(2):
        assert browser.post(address, ONE_CLICK).status_code == 200
    row = Suppression.objects.get()
    assert (row.address, row.channel, row.reason) == ("ann@example.com", "email", "unsubscribe")
    assert events() == [("unsubscribed", "one-click", "all")]
    send("ann@example.com", channels=["email"])
    latest = Delivery.objects.latest("created_at")
    assert (latest.status, latest.reason) == ("suppressed", "suppression")
    browser.post(address, {"action": "undo"})
    assert not Suppression.objects.exists()
    browser.post(address, {"action": "all"})
    assert len(events()) == 2


def test_a_bounce_stays_one(browser: Client, address_of: Any, organization: Organization) -> None:
    address = address_of("ann@example.com")
    suppress_address(organization=organization, channel="email", address="ann@example.com", reason="bounce")
    for _ in range(2):
        browser.post(address, ONE_CLICK)
    # The person's word is on record all the same.
    assert len(events()) == 1
    browser.post(address, {"action": "undo"})
    assert Suppression.objects.get().reason == "bounce"


def test_a_category_that_is_gone_means_everything(
    browser: Client, address_of: Any, member: User, organization: Organization
) -> None:
    address = address_of(member, category_id=new_id())
    assert "Stop all mail of First" in browser.get(address).content.decode()
    browser.post(address, ONE_CLICK)
    assert not gets_mail(organization, member)
    assert Preference.objects.get().scope == "global"


def test_a_delivery_that_was_cleared_away_leaves_the_proof(
    browser: Client, address_of: Any, member: User, organization: Organization
) -> None:
    address = address_of(member)
    Delivery.objects.all().delete()
    for action in ("category", "undo", "category"):
        assert browser.post(address, {"action": action}).status_code == 200
    assert not gets_mail(organization, member)
    assert [event.delivery_id for event in ProviderEvent.objects.all()] == [None, None]


@pytest.mark.parametrize("body", [{}, {"action": "delete"}, {"List-Unsubscribe": "maybe"}])
def test_anything_else_changes_nothing(
    browser: Client, address_of: Any, member: User, body: dict[str, str]
) -> None:
    answer = browser.post(address_of(member), body)
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.content.decode()
    assert not Preference.objects.exists()
    assert browser.put(address_of(member)).status_code == 405


@pytest.mark.parametrize("wrong", ["altered", "cut", "nonsense", "other organization", "no user", "long"])
def test_a_link_that_is_not_ours_is_not_there(
    browser: Client, address_of: Any, member: User, other_organization: Organization, wrong: str
) -> None:
    address = {
        "altered": lambda: address_of(member)[:-3] + "AAA",
        "cut": lambda: address_of(member)[:-1],
        "nonsense": lambda: "/u/nonsense",
        "other organization": lambda: address_of(member, organization_id=new_id()),
        "no user": lambda: address_of(member, user_id=new_id()),
        "long": lambda: "/u/" + "A" * 3000,
    }[wrong]()
    pages = {browser.get(address).content, browser.post(address, ONE_CLICK).content}
    assert browser.post(address, ONE_CLICK).status_code == 404
    assert len(pages) == 1
    assert b"This link does not work" in pages.pop()
    assert not Preference.objects.exists()


def test_a_category_of_another_organization_is_none(
    browser: Client, address_of: Any, member: User, other_organization: Organization
) -> None:
    foreign = Category.objects.create(organization=other_organization, key="secret", name="Secret plans")
    assert b"Secret plans" not in browser.get(address_of(member, category_id=foreign.id)).content


def test_the_example_of_previews_does_nothing(browser: Client) -> None:
    for answer in (browser.get("/u/example"), browser.post("/u/example", ONE_CLICK)):
        assert answer.status_code == 200
        assert "This link is an example" in answer.content.decode()
    assert not ProviderEvent.objects.exists()


def test_asking_again_and_again_is_held_back(browser: Client, address_of: Any, member: User) -> None:
    address = address_of(member)
    codes = [browser.get(address).status_code for _ in range(32)]
    assert codes == [200] * 30 + [429] * 2
    # Mail programs of one provider share an address: another person's link works from there.
    assert browser.get(address_of(member)).status_code == 200
    guesses = [browser.get(f"/u/guess{number}").status_code for number in range(62)]
    assert guesses == [404] * 60 + [429] * 2


def test_a_page_for_somebody_else_says_nothing_of_who_is_signed_in(
    address_of: Any, member: User, staff: User
) -> None:
    browser = Client()
    browser.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    answer = browser.get(address_of(member))
    assert "staff@example.com" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_are_one(address_of: Any, member: User, organization: Organization) -> None:
    addresses = [address_of(member), address_of("ann@example.com")]

    def click(address: str, codes: list[int]) -> None:
        try:
            codes.append(Client().post(address, ONE_CLICK).status_code)
        finally:
            connection.close()

    for address in addresses:
        codes: list[int] = []
        threads = [threading.Thread(target=click, args=(address, codes)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [200] * 4
    assert len(events()) == 2
    assert (Preference.objects.count(), Suppression.objects.count()) == (1, 1)
