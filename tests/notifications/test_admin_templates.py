"""Templates in the admin: the draft, its errors, publishing, the preview and the tests that staff send themselves."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from notifications.models import (
    Notification,
    NotificationRequest,
    Template,
    TemplateVersion,
)
from notifications.rendering.mjml_check import check_mjml
from notifications.rendering.sandbox import RenderingError
from notifications.services.ready_made import install_ready_made
from notifications.services.templates import save_template

from .admin_pages import page_of, press, text_of

MJML = "<mj-section><mj-column>\n<mj-text>Hello {{ user.first_name }}</mj-text>\n</mj-column></mj-section>"


@pytest.fixture
def template(organization: Organization) -> Template:
    content = {"subject": "Hello", "mjml": MJML, "in_app_title": "Hello {{ user.first_name }}", "sms": "Hi"}
    return save_template(organization=organization, key="hello", name="Hello", contents={"en": content})


def posted(template: Template, *contents: dict[str, str], initial: int = 1, **more: str) -> dict[str, Any]:
    """What the page of a template sends."""
    sent: dict[str, Any] = {
        "name": template.name, "description": "", "layout": template.layout_id or "", "variables": "{}",
        "contents-TOTAL_FORMS": str(len(contents)), "contents-INITIAL_FORMS": str(initial), **more,
    }  # fmt: skip
    for position, fields in enumerate(contents):
        sent |= {f"contents-{position}-{name}": value for name, value in fields.items()}
    return sent


ENGLISH = {"locale": "en", "subject": "Hello", "mjml": MJML.replace("\n", "\r\n"), "in_app_title": "Hello"}


def test_a_template_is_made_and_its_draft_written(desk: Client, organization: Organization):
    fields = {"organization": organization.pk, "kind": "message", "key": "hello", "name": "Hello"}
    response = desk.post(reverse("admin:notifications_template_add"), fields)
    made = Template.objects.get(key="hello")
    assert response.headers["Location"] == page_of(made)
    german = {"locale": "de", "in_app_title": "Hallo"}
    assert desk.post(page_of(made), posted(made, ENGLISH, german)).status_code == 302
    draft = made.versions.get()
    assert {row.locale for row in draft.contents.all()} == {"en", "de"}
    assert draft.contents.get(locale="en").mjml == MJML
    text = text_of(desk, page_of(made))
    assert "Hallo" in text
    desk.post(page_of(made), posted(made, {**german, "DELETE": "on"}, ENGLISH, initial=2))
    assert [row.locale for row in made.versions.get().contents.all()] == ["en"]


def test_what_is_wrong_is_shown_at_its_field_with_the_line(desk: Client, template: Template):
    wrong = {
        **ENGLISH, "mjml": MJML.replace("mj-text", "mj-txt"), "subject": "{{ user.first_name", "sms": "{% if x %}",
    }  # fmt: skip
    response = desk.post(page_of(template), posted(template, wrong, {"locale": "EN!", "sms": "x"}))
    text = response.content.decode()
    assert response.status_code == 200
    form = response.context["adminform"].form
    errors = form.contents.forms[0].errors
    assert form.contents.forms[1].errors == {"locale": ["A language such as en, de or pt-BR."]}
    assert "The text has errors" in text
    response = desk.post(page_of(template), posted(template, wrong))
    errors = response.context["adminform"].form.contents.forms[0].errors
    assert errors["mjml"] == ["Line 2: There is no <mj-txt> in MJML, or not here."]
    assert errors["subject"][0].startswith("Line 1: ")
    assert errors["sms"][0].startswith("Line 1: Unexpected end of template")
    assert "Line 2: There is no &lt;mj-txt&gt; in MJML, or not here." in response.content.decode()
    assert template.versions.get().contents.get().mjml == MJML
    twice = desk.post(page_of(template), posted(template, ENGLISH, ENGLISH)).content.decode()
    assert "This language is there twice." in twice


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ('["a"]', "An object"),
        ('{"user": {}}', "is filled in by CastComm"),
        ('{"a b": {}}', "is not a variable"),
        ('{"a": {"type": "colour"}}', "the type is one of"),
        ('{"a": 1}', "an object such as"),
        ("{", "Enter a valid JSON"),
    ],
)
def test_declared_variables_are_checked(desk: Client, template: Template, variables: str, said: str):
    response = desk.post(page_of(template), posted(template, ENGLISH, variables=variables))
    assert said in response.context["adminform"].form.errors["variables"][0]


def test_publishing_makes_a_version_that_never_changes(desk: Client, template: Template, clerk: User):
    desk.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    version = template.versions.get()
    assert (version.status, version.published_by) == ("published", clerk)
    desk.post(page_of(template), posted(template, {**ENGLISH, "in_app_title": "Hello again"}))
    states = dict(template.versions.values_list("number", "status"))
    assert states == {1: "published", 2: "draft"}
    desk.post(page_of(template), posted(template, {**ENGLISH, "in_app_title": "Third"}, _publish="Publish"))
    assert dict(template.versions.values_list("number", "status")) == {1: "archived", 2: "published"}
    old = reverse("admin:notifications_template_version", args=[template.pk, 1])
    assert "Hello" in text_of(desk, old)
    assert "<textarea" not in text_of(desk, old)
    assert desk.post(old).headers["Location"] == page_of(template)
    draft = template.versions.get(status="draft")
    assert draft.contents.get().in_app_title == "Hello"
    assert TemplateVersion.objects.get(number=2).contents.get().in_app_title == "Third"
    assert desk.get(reverse("admin:notifications_template_version", args=[template.pk, 9])).status_code == 404


def test_an_unchanged_form_makes_no_draft_and_publishes_nothing(desk: Client, template: Template):
    desk.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    desk.post(page_of(template), posted(template, ENGLISH))
    assert [version.number for version in template.versions.all()] == [1]
    desk.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    assert "Not published: There is no draft to publish." in text_of(desk, page_of(template))


def test_a_layout_says_where_the_message_goes(desk: Client, organization: Organization):
    layout = save_template(organization=organization, key="frame", name="Frame", kind="layout", contents={})
    wrong = desk.post(page_of(layout), posted(layout, {"locale": "en", "mjml": MJML}))
    errors = wrong.context["adminform"].form.contents.forms[0].errors
    assert errors["mjml"] == ["A layout says where the message goes with {{ content }}."]
    desk.post(page_of(layout), posted(layout, {"locale": "en", "mjml": "{{ content }}" + MJML}, _publish="1"))
    assert layout.versions.get().status == "published"


def test_ready_made_templates_open_and_save(desk: Client, organization: Organization):
    install_ready_made(organization=organization)
    for template in Template.objects.for_organization(organization):
        response = desk.get(page_of(template))
        assert response.status_code == 200
        form = response.context["adminform"].form
        fields = {"layout": template.layout_id or ""} | {
            one.html_name: one.value() if one.name != "variables" else "{}"
            for one in form
            if one.name != "layout"
        }
        contents = [{name: form.contents.forms[0].initial[name] for name in ENGLISH}]
        sent = {**fields, **posted(template, *contents), "name": "Changed"}
        assert desk.post(page_of(template), sent).status_code == 302, template.key
        assert Template.objects.get(pk=template.pk).name == "Changed"
        assert desk.get(page_of(template, "preview")).status_code == 200


def test_the_preview_shows_every_channel(desk: Client, template: Template, member: User):
    address = page_of(template, "preview")
    text = text_of(desk, address)
    assert 'sandbox srcdoc="&lt;!DOCTYPE html&gt;' in text
    shown = desk.post(address, {"member": member.email, "locale": "en", "variables": "{}"}).content.decode()
    assert f"Hello {member.first_name}" in shown
    stranger = desk.post(address, {"member": "nobody@example.com", "locale": "en"}).content.decode()
    assert "No active member of this organization has this address." in stranger
    assert "Enter a valid JSON" in desk.post(address, {"locale": "en", "variables": "{"}).content.decode()


def test_the_preview_names_what_is_missing(desk: Client, template: Template):
    desk.post(page_of(template), posted(template, {**ENGLISH, "in_app_title": "\n{{ lead.name }}"}))
    text = text_of(desk, page_of(template, "preview"))
    assert "Nothing fills in <code>lead</code>" in text
    assert "the variable &#x27;lead&#x27; has no value" in text


def test_a_draft_and_what_is_published_are_sent_to_oneself(desk: Client, template: Template, clerk: User):
    address = page_of(template, "preview")
    asked = {"member": "", "locale": "en", "variables": '{"kept": 1}', "_send": "1"}
    shown = desk.post(address, asked).content.decode()
    draft = Notification.objects.get(user=clerk)
    assert draft.title == "Hello Example"
    assert page_of(draft) in shown
    assert "kept" in shown
    assert press(desk, template, "send_test").status_code == 403
    desk.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    press(desk, template, "send_test")
    sent = NotificationRequest.objects.filter(template=template).get()
    assert (sent.source, sent.critical) == ("test", True)
    assert sent.notifications.get().user == clerk
    assert {one.channel for one in sent.notifications.get().deliveries.all()} >= {"email", "in_app"}


def test_a_test_without_a_needed_variable_says_so(desk: Client, template: Template):
    needed = '{"lead": {"type": "string", "required": true}}'
    desk.post(page_of(template), posted(template, ENGLISH, variables=needed, _publish="Publish"))
    press(desk, template, "send_test")
    assert "Not sent (data.lead)" in text_of(desk, page_of(template))
    assert not NotificationRequest.objects.exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("words", "Line 1: text must stand in"),
        ("<mj-section>\n<mj-colum></mj-colum></mj-section>", "Line 2: There is no <mj-colum>"),
        ("<mj-section>\n\n<mj-column></mj-section>", "Line 3: </mj-section> comes before <mj-column>"),
        ("<mj-section>\n</mj-section>\n</mj-section>", "Line 3: </mj-section> closes nothing"),
        ("\n<mj-section>", "Line 2: <mj-section> is not closed"),
        ("<mj-section>\n<mj-raw></mj-raw></mj-section>", "Line 2: There is no <mj-raw>"),
        ("{# a\nb #}<mj-section><mj-text><a\n onclick='x'></a></mj-text></mj-section>", "Line 2: scripts"),
    ],
)
def test_mjml_that_would_vanish_is_refused_with_its_line(body: str, said: str):
    with pytest.raises(RenderingError, match="Line") as caught:
        check_mjml(body)
    assert str(caught.value).startswith(said)


def test_mjml_with_conditions_comments_and_html_is_fine():
    check_mjml(
        '{% if a > 1 %}<!-- mail\n<mj-x> -->\n<mj-section><mj-column><mj-text>a<br>{{ "<mj-y>" }} <b>b</b></mj-text>'
        '<mj-divider/><mj-image src="{{ a }}" /></mj-column></mj-section>{% endif %}'
    )
