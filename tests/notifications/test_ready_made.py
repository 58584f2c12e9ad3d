"""The messages that come with CastComm: each can be sent, in each language, with its examples and without."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accounts.models import Organization, User
from castcomm.common.as_code.installing import Found
from notifications.models import EventType, Template, VersionStatus
from notifications.services.ready_made import install_ready_made, ready_made
from notifications.services.templates import preview_template, save_template

NEEDED = {
    "welcome", "email-verification", "password-reset", "oauth-linked", "profile-completion-reminder", "nda_request",
    "digest", "chat-unread", "security-alert", "re-engagement", "activity-summary",
}  # fmt: skip


def only_required(template: Template) -> dict[str, Any]:
    return {name: said["example"] for name, said in template.variables.items() if said.get("required")}


def test_each_says_something_on_its_channels_in_both_languages(
    organization: Organization, member: User, django_assert_max_num_queries: Any
) -> None:
    done = install_ready_made(organization=organization)
    assert {one.found for one in done} == {Found.ADDED}
    messages = Template.objects.for_organization(organization).filter(kind="message")
    assert {row.key for row in messages} == NEEDED
    channels = {
        row.template.key: set(row.channels)
        for row in EventType.objects.for_organization(organization).exclude(template=None)
    }
    assert set(channels) == NEEDED
    for template in messages:
        assert all("example" in said for said in template.variables.values()), template.key
        assert {row.locale for row in template.versions.get(status="published").contents.all()} == {
            "en",
            "de",
        }
        for locale in ("en", "de"):
            seen = preview_template(template=template, user=member, data={}, locale=locale)
            assert seen.errors == {}
            assert seen.missing_variables == []
            said = {"in_app": seen.in_app, "email": seen.html, "sms": seen.sms, "push": seen.push}
            assert [name for name in channels[template.key] if not said[name]] == []
            # One segment or two; the text part reads without the HTML.
            assert len(seen.sms) <= 306
            assert "<" not in seen.text
            assert re.search(r"\{\{|\{%", seen.html + seen.text + seen.subject) is None
            assert (locale == "de") == ("E-Mail kommt von" in seen.text)
        template.variables = {
            name: {key: value for key, value in said.items() if key != "example"}
            for name, said in template.variables.items()
        }
        bare = preview_template(
            template=template, user=member, data=only_required(Template.objects.get(pk=template.pk))
        )
        assert bare.errors == {}


def test_what_staff_changed_stays_and_the_rest_is_added(organization: Organization) -> None:
    done = install_ready_made(organization=organization, only=["welcome", "event_types/nda_request"])
    assert {one.name for one in done if one.found is Found.ADDED} == {
        "categories/activity", "event_types/nda_request", "templates/layout", "templates/nda_request",
        "templates/welcome",
    }  # fmt: skip
    save_template(
        organization=organization, key="welcome", name="Ours", contents={"en": {"subject": "Hello"}}
    )
    again = {one.name: one.found for one in install_ready_made(organization=organization)}
    assert again["templates/welcome"] is Found.CHANGED
    assert again["templates/nda_request"] is Found.AS_IT_COMES
    assert again["templates/digest"] is Found.ADDED
    assert Template.objects.get(key="welcome").name == "Ours"
    assert Template.objects.get(key="welcome").versions.filter(status=VersionStatus.DRAFT).exists()
    third = install_ready_made(organization=organization)
    assert {one.found for one in third} == {Found.AS_IT_COMES, Found.CHANGED}


@pytest.mark.parametrize("key", sorted(NEEDED))
def test_mails_are_dark_where_the_reader_is_and_name_no_font_of_a_server(key: str) -> None:
    for locale in ("en", "de"):
        mjml = ready_made().documents["templates"][key].bodies[f"{locale}.mjml"]
        assert 'mj-class="cc-card"' in mjml
        assert "http" not in mjml
