"""The links and headers that a mail carries to be unsubscribed from."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.rendering.context import message_context
from notifications.rendering.mjml import compile_mjml, text_from_html
from notifications.rendering.sandbox import render
from notifications.services import preference_links
from notifications.services.mail_links import (
    MailLink,
    MailLinks,
    context_links,
    links_for,
    make_token,
    read_token,
)
from notifications.services.ready_made import FOLDER
from notifications.services.templates import preview_template

PUBLIC = "https://news.example.com"


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    settings.PUBLIC_URL = PUBLIC


def links(**fields: Any) -> MailLinks:
    given: dict[str, Any] = {
        "organization_id": new_id(),
        "user_id": new_id(),
        "email": "person@example.com",
        "delivery_id": new_id(),
        "category_id": new_id(),
        "is_critical": False,
        **fields,
    }
    return links_for(**given)


def made_at(moment: dt.datetime) -> uuid.UUID:
    """A UUIDv7 of that moment."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | 12345)


def test_a_user_gets_both_links_and_the_headers_of_the_standards() -> None:
    ids = {name: new_id() for name in ("organization_id", "user_id", "delivery_id", "category_id")}
    made = links(**ids)
    assert made.unsubscribe_url.startswith(f"{PUBLIC}/u/")
    assert made.preferences_url.startswith(f"{PUBLIC}/p/")
    assert made.headers == {
        "List-Unsubscribe": f"<{made.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    token = made.unsubscribe_url.rsplit("/", 1)[1]
    assert len(token) == 108
    assert read_token(token) == MailLink(**ids, email="")
    by_link = preference_links.read(made.preferences_url.rsplit("/", 1)[1])
    assert by_link is not None
    assert (by_link.organization_id, by_link.user_id, by_link.delivery_id) == (
        ids["organization_id"], ids["user_id"], ids["delivery_id"],
    )  # fmt: skip


def test_a_bare_address_is_in_the_link_and_cannot_be_read_in_it() -> None:
    made = links(user_id=None, email="ann@example.com")
    token = made.unsubscribe_url.rsplit("/", 1)[1]
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"ann" not in sealed
    assert b"example" not in sealed
    found = read_token(token)
    assert found is not None
    assert (found.user_id, found.email) == (None, "ann@example.com")
    # Without an account there is one page for both.
    assert made.preferences_url == made.unsubscribe_url


def test_critical_mail_cannot_be_unsubscribed_from() -> None:
    made = links(is_critical=True)
    assert (made.unsubscribe_url, dict(made.headers)) == ("", {})
    assert made.preferences_url.startswith(f"{PUBLIC}/p/")
    assert links(is_critical=True, user_id=None).preferences_url == ""


@pytest.mark.parametrize("email", ["a@b.example", "x" * 242 + "@example.com", "ä" * 200 + "@example.com"])
def test_the_longest_address_fits(email: str) -> None:
    found = read_token(links(user_id=None, email=email).unsubscribe_url.rsplit("/", 1)[1])
    assert found is not None
    assert found.email == email


def test_an_address_too_long_for_a_header_is_in_the_mail_alone() -> None:
    made = links(user_id=None, email="\U00010400" * 200 + "@example.com")
    assert dict(made.headers) == {}
    found = read_token(made.unsubscribe_url.rsplit("/", 1)[1])
    assert found is not None


@pytest.mark.parametrize("position", range(0, 108, 9))
def test_an_altered_token_says_nothing(position: int) -> None:
    token = links().unsubscribe_url.rsplit("/", 1)[1]
    for letter in "Aa0_":
        altered = token[:position] + letter + token[position + 1 :]
        assert altered == token or read_token(altered) is None


@pytest.mark.parametrize(
    "token", ["", "x", "example", "ü" * 108, "A" * 108, "A" * 5000, "A===", "....", "\x00", "A" * 107 + "\n"]
)
def test_nonsense_says_nothing(token: str) -> None:
    assert read_token(token) is None
    whole = links().unsubscribe_url.rsplit("/", 1)[1]
    assert read_token(whole + token) is None or token == ""


def test_links_live_for_five_years() -> None:
    common = {"organization_id": new_id(), "category_id": new_id(), "user_id": new_id(), "email": ""}
    young = MailLink(delivery_id=made_at(now() - dt.timedelta(days=5 * 365)), **common)
    old = MailLink(delivery_id=made_at(now() - dt.timedelta(days=5 * 366)), **common)
    assert read_token(make_token(young)) == young
    assert read_token(make_token(old)) is None


def test_links_outlive_a_new_key() -> None:
    with override_settings(SECRET_KEY="the key of before"):
        token = links().unsubscribe_url.rsplit("/", 1)[1]
    assert read_token(token) is None
    with override_settings(SECRET_KEY_FALLBACKS=["an older one", "the key of before"]):
        assert read_token(token) is not None


@pytest.mark.parametrize(
    ("fields", "seen", "unseen"),
    [
        ({}, ("/u/", "/p/"), ()),
        ({"is_critical": True}, ("/p/",), ("/u/", "Unsubscribe")),
        ({"user_id": None}, ("/u/",), ("/p/", "Choose")),
        ({"user_id": None, "is_critical": True}, (), ("/u/", "/p/", "Unsubscribe", "Choose")),
    ],
)
def test_the_ready_made_footer_shows_the_links_that_there_are(
    fields: dict[str, Any], seen: tuple[str, ...], unseen: tuple[str, ...]
) -> None:
    layout = (FOLDER / "templates" / "layout" / "en.mjml").read_text()
    html = compile_mjml(
        "<mj-section><mj-column><mj-text>News.</mj-text></mj-column></mj-section>", layout=layout
    )
    context = message_context(
        data={},
        user={},
        organization_name="First",
        event_key="news",
        event_name="News",
        notification_id="",
        **context_links(links(**fields)),
    )
    for made in (render(html, context, html=True), render(text_from_html(html), context, html=False)):
        assert [word for word in seen if word not in made] == []
        assert [word for word in unseen if word in made] == []


def test_previews_show_links_that_do_nothing(
    organization: Organization, make_template: Callable[..., Any], member: User
) -> None:
    template = make_template(subject="Hello", text="{{ unsubscribe_url }} {{ preferences_url }}")
    seen = preview_template(template=template, user=member, data={})
    assert seen.text == f"{PUBLIC}/u/example {PUBLIC}/p/example"
    assert seen.missing_variables == []


@pytest.mark.parametrize("name", ["unsubscribe_url", "preferences_url"])
def test_the_names_are_taken(send: Callable[..., Any], news: Any, member: User, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        send(member, data={name: "http://evil.example/"})
    assert caught.value.attr == f"data.{name}"
