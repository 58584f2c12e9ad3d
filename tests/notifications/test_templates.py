"""Templates: drafts, versions, languages, layouts, and what one says to one person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.errors import Conflict, InvalidInput
from notifications.models import Delivery, Notification, Template
from notifications.rendering.content import (
    ContentFacts,
    literal_content,
    render_email,
    render_in_app,
    render_push,
)
from notifications.rendering.sandbox import RenderingError
from notifications.services.sending import SendResult
from notifications.services.templates import preview_template, publish_template, save_template

from .conftest import states

MakeTemplate = Callable[..., Template]
Send = Callable[..., SendResult]
SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"


def title_of(send: Send, member: User, **fields: Any) -> str:
    [sent] = send(member, template="t", **fields).notifications
    return Notification.objects.get(id=sent.id).title


def test_a_draft_changes_nothing_until_it_is_published(
    make_template: MakeTemplate, send: Send, member: User, organization: Organization
) -> None:
    template = make_template("t", in_app_title="First")
    save_template(organization=organization, key="t", name="t", contents={"en": {"in_app_title": "Second"}})
    assert title_of(send, member) == "First"
    publish_template(template=template)
    assert title_of(send, member) == "Second"
    numbers = template.versions.order_by("number").values_list("number", "status")
    assert list(numbers) == [(1, "archived"), (2, "published")]


def test_publishing_needs_a_draft_with_a_language(make_template: MakeTemplate) -> None:
    template = make_template("t", in_app_title="x")
    with pytest.raises(Conflict):
        publish_template(template=template)


@pytest.mark.parametrize(
    ("locale", "title"),
    [("de", "Hallo"), ("de-AT", "Hallo"), ("pt-BR", "Oi"), ("pt", "Hello"), ("fr", "Hello")],
)
def test_the_persons_language_or_the_nearest(
    locale: str, title: str, make_template: MakeTemplate, send: Send, member: User
) -> None:
    texts = {"en": "Hello", "de": "Hallo", "pt-BR": "Oi"}
    make_template("t", contents={key: {"in_app_title": text} for key, text in texts.items()})
    member.locale = locale
    member.save()
    assert title_of(send, member) == title


def test_the_organizations_language_comes_before_english(
    make_template: MakeTemplate, send: Send, member: User, organization: Organization
) -> None:
    organization.locale = "de"
    organization.save()
    make_template("t", contents={"en": {"in_app_title": "Hello"}, "de": {"in_app_title": "Hallo"}})
    member.locale = "fr"
    member.save()
    assert title_of(send, member) == "Hallo"


def test_a_new_layout_reaches_what_is_published(
    make_template: MakeTemplate, organization: Organization, send: Send, member: User, mail: Any, drain: Any
) -> None:
    layout = make_template("frame", kind="layout", mjml=SECTION.format("Old frame") + "{{ content }}")
    make_template("t", subject="s", mjml=SECTION.format("The middle"), layout=layout)
    new = {"en": {"mjml": SECTION.format("New frame") + "{{ content }}"}}
    save_template(organization=organization, key="frame", name="frame", kind="layout", contents=new)
    publish_template(template=layout)
    send(member, template="t")
    drain()
    text = mail.arrived[0].message.get_body(("plain",)).get_content()
    assert "New frame" in text
    assert "The middle" in text
    assert "Old frame" not in text


def test_a_template_that_fails_for_one_person_fails_for_no_other(
    make_template: MakeTemplate, make_user: Any, organization: Organization, send: Send, mail: Any, drain: Any
) -> None:
    make_template("t", subject="Hi", text="a\nb\n{{ user.attributes.plan }}", in_app_title="Hi")
    with_plan = make_user(organization=organization, attributes={"plan": "gold"})
    without = make_user(organization=organization)
    result = send(without, with_plan, template="t")
    drain()
    assert [one.recipients for one in mail.arrived] == [[with_plan.email]]
    failed = Delivery.objects.get(notification=result.notifications[0].id, channel="email")
    assert (failed.status, failed.reason) == ("failed", "rendering")
    assert "Line 3" in failed.error
    assert "'plan'" in failed.error
    assert failed.error.startswith("text:")
    assert states(notification=result.notifications[0].id)["in_app"] == ("delivered", "in_inbox")


def test_an_inbox_text_that_fails_lets_the_mail_go(
    make_template: MakeTemplate, member: User, send: Send, mail: Any, drain: Any
) -> None:
    make_template("t", subject="Hi", text="Text", in_app_title="{{ nowhere }}")
    send(member, template="t")
    assert states()["in_app"] == ("failed", "rendering")
    assert "nowhere" in Delivery.objects.get(channel="in_app").error
    drain()
    assert len(mail.arrived) == 1


def test_an_error_in_mjml_names_the_line_that_staff_wrote(make_template: MakeTemplate, member: User) -> None:
    template = make_template("t", subject="s", mjml=SECTION.format("a\n{{ user.name }}\n{{ nowhere }}"))
    preview = preview_template(template=template, user=member, data={})
    assert "Line 3" in preview.errors["email"]
    assert preview.missing_variables == ["nowhere"]


def test_a_preview_shows_every_channel_and_sends_nothing(make_template: MakeTemplate, member: User) -> None:
    template = make_template(
        "t", publish=False, subject="{{ a }}", text="t", sms="s", push_title="p", in_app_title="i"
    )
    preview = preview_template(template=template, user=member, data={"a": "A"})
    assert (preview.subject, preview.sms, preview.push["title"], preview.in_app["title"]) == (
        "A",
        "s",
        "p",
        "i",
    )
    assert preview.errors == {}
    assert not Delivery.objects.exists()


def test_a_line_break_makes_no_second_header() -> None:
    content = ContentFacts(subject="Hi {{ x }}", text="t", in_app_title="{{ x }}", push_title="{{ x }}")
    context = {"x": "a\r\nBcc: someone@example.com\x85b\u2028c"}
    for text in (
        render_email(content, context).subject,
        render_in_app(content, context).title,
        render_push(content, context).title,
    ):
        assert len(text.splitlines()) == 1


def test_a_link_that_a_person_gave_is_made_safe() -> None:
    content = ContentFacts(in_app_title="x", action_url="{{ url }}")
    assert render_in_app(content, {"url": "javascript:alert(1)"}).action_url == "#"
    assert render_in_app(content, {"url": "https://example.com/a"}).action_url == "https://example.com/a"
    with pytest.raises(RenderingError, match="2000"):
        render_in_app(content, {"url": "/" + "a" * 2000})


def test_title_and_body_serve_every_channel() -> None:
    content = literal_content({"title": "T", "body": "B", "action_url": "javascript:x"})
    assert content.channels() == {"in_app", "email", "sms", "push"}
    assert (content.subject, content.text, content.sms, content.action_url) == ("T", "B", "T: B", "#")


def test_the_draft_of_a_published_template_starts_as_its_copy(
    make_template: MakeTemplate, organization: Organization
) -> None:
    make_template("t", in_app_title="x", sms="y")
    with pytest.raises(InvalidInput):
        save_template(organization=organization, key="t", name="t", contents={"en": {"sms": "{{"}})
    template = Template.objects.get(key="t")
    # What was wrong left the template as it was, draft included.
    assert [version.status for version in template.versions.all()] == ["published"]
