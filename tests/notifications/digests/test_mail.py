"""What stands in the mail of a digest."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from django.conf import settings

from accounts.models import Organization, User
from notifications.models import Category, Delivery, DigestWindow, Notification
from notifications.rendering.content import ContentFacts, render_email
from notifications.rendering.fragments import FRAGMENTS, Fragment
from notifications.services.digests import closing
from notifications.services.digests.mail import context_of, data_for
from notifications.services.digests.sections import IN_FULL, Entry, Section, fragment_of
from notifications.services.digests.text import text_for
from tests.notifications.smtp_server import SmtpServer

AT = dt.datetime(2026, 1, 5, 8, 30, tzinfo=dt.UTC)
BERLIN = "Europe/Berlin"


def entries(many: int) -> list[Entry]:
    return [Entry(f"Number {n} ends", f"Text {n}", f"/news/{n}", AT) for n in range(many)]


def test_entries_are_escaped_and_their_links_whole_and_safe() -> None:
    shown = [
        Entry('<b>"Bold"</b>', "<script>alert(1)</script>\n\n  & more", "/a?b=1&c=2", AT),
        Entry("Evil", "", "javascript:alert(1)", AT),
        Entry("Elsewhere", "", "https://example.com/x", AT),
    ]
    made = fragment_of([Section("A & B", shown)], zone=dt.UTC, locale="en")
    assert "<script" not in made.html
    assert "<b>" not in made.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in made.html
    assert "A &amp; B" in made.html
    assert re.findall(r'href="([^"]+)"', made.html) == [
        f"{settings.PUBLIC_URL}/a?b=1&amp;c=2",
        "https://example.com/x",
    ]
    assert "javascript" not in made.html + made.text
    assert "Mon 5 Jan, 08:30" in made.text
    german = fragment_of([Section("A", shown)], zone=dt.timezone(dt.timedelta(hours=1)), locale="de")
    assert "Mo 5 Jan" in german.text
    assert "09:30" in german.html


def test_ten_thousand_notifications_are_one_mail_that_can_be_sent() -> None:
    sections = [Section("Many", entries(9_990)), Section("Few", entries(10))]
    content = ContentFacts(
        version_id="1",
        subject="{{ digest.count }}",
        html="<p>{{ digest.items }}</p>",
        text="{{ digest.items }}",
    )
    made = render_email(content, context_of(sections, frequency="daily", zone="UTC", locale="en"))
    assert made.subject == "10000"
    shown = [int(number) for number in re.findall(r"Number (\d+) ends", made.html)]
    assert shown == [*range(9_990), *range(10)]
    assert len(made.html) < 3_000_000
    assert made.html.count("Text ") == IN_FULL + 10
    assert made.text.count("* Number") == 10_000
    assert made.html.index("Few") > made.html.index("Number 9989 ends")


def test_a_template_can_show_the_items_in_its_own_way_and_forge_nothing() -> None:
    context = context_of([Section("News", entries(2))], frequency="weekly", zone="UTC", locale="en")
    [marker] = context[FRAGMENTS]
    source = "{% for s in digest.sections %}{{ s.name }}:{% for e in s.entries %}{{ e.title }};{% endfor %}{% endfor %}"
    content = ContentFacts(
        version_id="1", subject="x", html=source, text="{{ digest.frequency }} {{ digest.title }}"
    )
    made = render_email(content, context)
    assert made.html == "News:Number 0 ends;Number 1 ends;"
    assert made.text == "weekly Number 0 ends"
    assert render_email(content, {**context, FRAGMENTS: {marker: Fragment("<x>", "x")}}).html == made.html
    other = context_of([], frequency="weekly", zone="UTC", locale="en")
    assert marker not in other[FRAGMENTS]


def test_what_a_digest_says_of_a_notification() -> None:
    mail_only = ContentFacts(version_id="1", subject="About {{ what }}", text="A long text", action_url="/x")
    made = text_for(mail_only, {"what": "it"})
    assert (made.title, made.body, made.action_url) == ("About it", "", "/x")
    both = ContentFacts(
        version_id="1", subject="About", in_app_title="News", in_app_body="More", push_body="Push"
    )
    assert (text_for(both, {}).title, text_for(both, {}).body) == ("News", "More")


@pytest.mark.django_db
def test_sections_are_those_of_the_categories_and_a_notification_stands_there_once(
    member: User,
    organization: Organization,
    put_in: Callable[..., list[Delivery]],
    make_event_type: Callable[..., object],
    make_due: Callable[..., None],
) -> None:
    rows = put_in([member], 4)
    first = make_event_type("first", category="first")
    Category.objects.filter(key="first").update(position=0, name="First of all")
    Category.objects.filter(key="general").update(position=5)
    Notification.objects.filter(id=rows[2].notification_id).update(event_type=first, title="")
    # A text message of the same notification found its cap full as well.
    twice = Delivery.objects.create(
        organization=organization,
        notification_id=rows[0].notification_id,
        channel="sms",
        priority=2,
        status="in_digest",
        due_at=AT,
    )
    put_in([member], 0)
    window = DigestWindow.objects.get()
    window.items.create(delivery=twice, position=5)
    make_due()
    assert closing.close_due() == 1
    window.refresh_from_db()
    assert window.sent_count == 4
    assert window.notification_id is not None
    digest = data_for([window.notification_id])[window.notification_id]["digest"]
    assert digest["count"] == 4
    assert [(one["name"], one["count"]) for one in digest["sections"]] == [
        ("First of all", 1),
        ("General", 3),
    ]
    assert digest["sections"][0]["entries"][0]["title"] == "first"  # one without a text says what it is
    assert [one["title"] for one in digest["sections"][1]["entries"]] == ["News 0", "News 1", "News 3"]
    twice.refresh_from_db()
    assert twice.status == "digested"


@pytest.mark.django_db
def test_staff_may_write_the_mail_in_their_own_words(
    mail: SmtpServer,
    drain: Callable[..., int],
    make_template: Callable[..., object],
    make_due: Callable[..., None],
    put_in: Callable[..., list[Delivery]],
    member: User,
) -> None:
    make_template("digest", subject="{{ digest.count }} Neuigkeiten", mjml="<mj-section><mj-column><mj-text>"
                  "{{ digest.items }}</mj-text></mj-column></mj-section>")  # fmt: skip
    put_in([member], 2)
    make_due()
    closing.close_due()
    assert drain() == 1
    message = mail.arrived[0].message
    assert message["Subject"] == "2 Neuigkeiten"
    html = message.get_body(("html",)).get_content()
    text = message.get_body(("plain",)).get_content()
    assert html.count("News ") == 2
    assert "General (2)" in text
    assert "<div" not in text
