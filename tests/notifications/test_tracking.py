"""A mail's links lead over CastComm and nothing else in it changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from unittest import mock

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from castcomm.common.ids import new_id
from notifications.models import TrackedLink
from notifications.rendering.anchors import find_anchors
from notifications.services import tracking
from notifications.services.tracking import MAX_LINKS, add_tracking
from notifications.services.tracking_tokens import click_tokens, read_click_token, read_open_token

PUBLIC = "http://testserver"
CLICK = re.compile(re.escape(PUBLIC) + r"/t/c/([\w-]{59})")
PICTURE = re.compile(
    r'<img src="' + re.escape(PUBLIC) + r'/t/o/([\w-]{38})\.gif" width="1" height="1" alt="" '
    r'style="border:0;width:1px;height:1px">'
)


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> Iterator[None]:
    settings.PUBLIC_URL = PUBLIC
    tracking.remembered.clear()
    yield
    tracking.remembered.clear()


@pytest.fixture
def track(organization: Organization) -> Callable[..., str]:
    def call(html: str, *, opens: bool = False, clicks: bool = True, **fields: Any) -> str:
        fields = {"organization_id": organization.id, "delivery_id": new_id(), **fields}
        return add_tracking(html, opens=opens, clicks=clicks, **fields)

    return call


def targets(html: str) -> list[str]:
    """What the tracked links of ``html`` lead to, in order."""
    read = [read_click_token(token) for token in CLICK.findall(html)]
    urls = dict(TrackedLink.objects.values_list("id", "url"))
    return [urls[found[1]] for found in read if found is not None]


@pytest.mark.parametrize(
    ("html", "led_to"),
    [
        ('<a href="http://a.example/x">x</a>', "http://a.example/x"),
        ("<A CLASS=b\nHREF = 'HTTPS://a.example/'>", "HTTPS://a.example/"),
        ("<a href=http://a.example/x/>x</a>", "http://a.example/x/"),
        ('<area shape=rect href="http://a.example/">', "http://a.example/"),
        ('<a href=" http://a.example/x\n ">', "http://a.example/x"),
        ('<a href="http://a.example/?x=1&amp;y=2">', "http://a.example/?x=1&y=2"),
        ('<a href="http://a.example/?x=1&copy=2&lt=3">', "http://a.example/?x=1&copy=2&lt=3"),
        ('<a href="http://a.example/&#x2f;&#47;&eacute;">', "http://a.example///é"),
        ('<a href="http://a.example/?q=%20%26#top">', "http://a.example/?q=%20%26#top"),
        ('<a href="http://a.example/1" href="http://a.example/2">', "http://a.example/1"),
        ("<a title='1 > 0' href=\"http://a.example/\">", "http://a.example/"),
        ('<a title=it\'s href="http://a.example/">', "http://a.example/"),
        ('1 < 2 <a href="http://a.example/">', "http://a.example/"),
        ('<!--[if !mso]><!--><a href="http://a.example/"><!--<![endif]-->', "http://a.example/"),
        ('<![if !mso]><a href="http://a.example/"><![endif]>', "http://a.example/"),
        (f'<a href="{PUBLIC}/inbox/">', f"{PUBLIC}/inbox/"),
    ],
)
def test_links_are_found(track: Callable[..., str], html: str, led_to: str) -> None:
    tracked = track(html)
    assert targets(tracked) == [led_to]
    before, _, after = CLICK.split(tracked)
    assert html.startswith(before)
    assert html.endswith(after)


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:a@example.com"><a href="tel:+1"><a href="#top"><a href="/news"><a href="//a.example/">',
        '<a href="ftp://a.example/"><a href="javascript:alert(1)"><a href="http:a.example"><a href="http:///x">',
        '<a href><a href=><a href=""><a>no address</a><a name="http://a.example/">',
        '<a data-no-track href="http://a.example/"><a href="http://a.example/" DATA-NO-TRACK="">',
        f'<a href="{PUBLIC}/u/abc"><a href="{PUBLIC}/preferences/"><a href="{PUBLIC}/t/c/x">',
        '<!-- <a href="http://a.example/"> --><!--[if mso]><a href="http://a.example/"><![endif]-->',
        '<!--> --><style><a href="http://a.example/"></style ><title><a href="http://a.example/"></TITLE>',
        "<p title='<a href=\"http://a.example/\">'>",
        '<link href="http://a.example/"><abbr href="http://a.example/"><a-b href="http://a.example/">',
        '<img src="http://a.example/"><form action="http://a.example/">',
        '<a href="http://a.example/" title="never closed',
        f'<a href="http://a.example/{"x" * 2000}">',
        '<a href="http://person:word@a.example/"><a href="http://a.example\\b"><a href="http://a.example/a b">',
        '<a href="http://a.example/?reset_token=1"><a href="https://a.example/x?b=1&amp;otp=123456">',
        '<a href="https://a.example/accounts/password/reset/key/1-abc/">',
    ],
)
def test_what_is_no_link_or_must_not_be_followed_stays(track: Callable[..., str], html: str) -> None:
    assert track(html) == html
    assert not TrackedLink.objects.exists()


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<body><p>x</p></body></html>", "<body><p>x</p>*</body></html>"),
        ("<p>x</p>", "<p>x</p>*"),
        ("<p></body></p></BODY \n></html>", "<p></body></p>*</BODY \n></html>"),
        ("<body>x</body><!-- </body> -->", "<body>x*</body><!-- </body> -->"),
        ('<body>x</body><p title="</body>">', '<body>x*</body><p title="</body>">'),
        ('<p title="never closed', '<p title="never closed'),
        ("", ""),
    ],
)
def test_one_picture_at_the_end_of_the_body(track: Callable[..., str], html: str, expected: str) -> None:
    delivery_id = new_id()
    made = track(html, opens=True, clicks=False, delivery_id=delivery_id)
    assert PICTURE.sub("*", made) == expected
    assert [read_open_token(token) for token in PICTURE.findall(made)] == [delivery_id] * ("*" in expected)


def test_switched_off_means_untouched(track: Callable[..., str]) -> None:
    html = '<body><a href="http://a.example/">x</a></body>'
    assert track(html, opens=False, clicks=False) == html
    with override_settings(TRACKING_ENABLED=False):
        assert track(html, opens=True, clicks=True) == html
    assert "/t/c/" not in track(html, opens=True, clicks=False)
    assert "/t/o/" not in track(html, opens=False, clicks=True)


PIECES = st.sampled_from(
    [
        *"<>&\"'=/! -\n\tab",
        *(
            "<a ",
            "<a\thref='",
            '<A HREF="',
            "</a>",
            "<area href=",
            "<p title=",
            "<body>",
            "</body>",
            "</p x='",
        ),
        *("http://a.example/1", "https://b.example/?x=1&amp;y=2", " href=http://c.example", "mailto:x"),
        *(
            "<!--",
            "-->",
            "--!>",
            "<!--[if mso]>",
            "<![endif]-->",
            "<style>",
            "</style>",
            "<title ",
            "</title>",
        ),
        *(
            "&amp;",
            "&#38;",
            "&copy",
            "data-no-track",
            "é\u2028",
            "<!DOCTYPE html>",
            "<?x",
            "</",
            "<textarea>",
        ),
    ]
)


class _AsRead(HTMLParser):
    """What Python's own parser makes of a text: an independent reader."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.links = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += tag == "a" and any("/t/c/" in (value or "") for _, value in attrs)


def tracked_without_storing(html: str) -> str:
    """Every link is known already: what is tried out is the text alone."""
    with mock.patch.object(tracking.remembered, "get", return_value=new_id()):
        return add_tracking(html, organization_id=new_id(), delivery_id=new_id(), opens=True, clicks=True)


@given(html=st.lists(PIECES, max_size=40).map("".join))
def test_nothing_but_addresses_and_the_picture_changes(html: str) -> None:
    made = tracked_without_storing(html)
    without_picture = PICTURE.sub("", made)
    assert len(PICTURE.findall(made)) <= 1
    # Put the addresses back, one for one: the mail is what it was, to the character.
    spans = [span for span in find_anchors(html).hrefs if tracking._trackable(span[2], PUBLIC)]
    assert len(CLICK.findall(without_picture)) == len(spans)
    originals = iter(html[start:end] for start, end, _ in spans)
    assert CLICK.sub(lambda _: next(originals), without_picture) == html
    # Reading it again finds the same links at the same places in their order.
    again = [value for _, _, value in find_anchors(without_picture).hrefs]
    assert sum("/t/c/" in value for value in again) == len(spans)


@given(
    values=st.lists(
        st.sampled_from(["http://a.example/", "x", "https://b.example/?a=1&b=2", "#"]), max_size=30
    )
)
def test_well_formed_mails_are_read_alike_by_another_parser(values: list[str]) -> None:
    links = "".join(f'<td class="x"><a style="a" href="{value}">y &amp; z</a></td>' for value in values)
    html = f"<!doctype html><html><head><style>a > b {{}}</style></head><body><table>{links}</table></body></html>"
    made = tracked_without_storing(html)
    assert _AsRead(made).links == sum(value.startswith("http") for value in values)


def test_a_link_is_stored_once_and_then_remembered(
    organization: Organization,
    other_organization: Organization,
    track: Callable[..., str],
    django_assert_num_queries: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    html = '<a href="http://a.example/1"><a href="http://a.example/2"><a href="http://a.example/1">'
    with django_capture_on_commit_callbacks(execute=True), django_assert_num_queries(1):
        track(html)
    with django_assert_num_queries(0):
        again = track(html)
    assert targets(again) == ["http://a.example/1", "http://a.example/2", "http://a.example/1"]
    # Another process, which remembers nothing yet.
    tracking.remembered.clear()
    with django_assert_num_queries(1):
        track(html + '<a href="http://a.example/3">')
    assert TrackedLink.objects.count() == 3
    track(html, organization_id=other_organization.id)
    assert TrackedLink.objects.filter(organization=other_organization).count() == 2


def test_what_a_transaction_took_back_is_not_remembered(organization: Organization, track: Any) -> None:
    html = '<a href="http://a.example/taken-back">'
    # The test's own transaction never commits.
    track(html)
    TrackedLink.objects.all().delete()
    assert targets(track(html)) == ["http://a.example/taken-back"]


def test_one_mail_stores_no_more_than_its_share(track: Callable[..., str]) -> None:
    html = "".join(f'<a href="http://a.example/{number}">' for number in range(MAX_LINKS + 5))
    made = track(html)
    assert TrackedLink.objects.count() == MAX_LINKS
    assert made.endswith("".join(f'<a href="http://a.example/{MAX_LINKS + number}">' for number in range(5)))


@pytest.mark.parametrize("position", range(59))
def test_no_letter_of_a_token_can_be_changed(position: int) -> None:
    (token,) = click_tokens(new_id(), [new_id()])
    assert read_click_token(token)
    for letter in "Aa0_":
        altered = token[:position] + letter + token[position + 1 :]
        assert altered == token or read_click_token(altered) is None


def test_tokens_outlive_a_new_key_and_fit_one_purpose() -> None:
    delivery_id, link_id = new_id(), new_id()
    with override_settings(SECRET_KEY="the key of before"):
        (token,) = click_tokens(delivery_id, [link_id])
    assert read_click_token(token) is None
    with override_settings(SECRET_KEY_FALLBACKS=["the key of before"]):
        assert read_click_token(token) == (delivery_id, link_id)
        assert read_open_token(token) is None
