"""The admin of notifications, as staff of one organization see and use it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput
from notifications.models import (
    Category,
    Delivery,
    DeliveryAttempt,
    EventType,
    Notification,
    NotificationRequest,
    Preference,
    PushSubscription,
    QuietHours,
    Suppression,
    Template,
    TemplateVersion,
)
from notifications.rendering.mjml_check import check_mjml
from notifications.rendering.sandbox import RenderingError
from notifications.services.deliveries import resolve_unknown
from notifications.services.explain import explain_notification
from notifications.services.preferences import Change, set_switches
from notifications.services.ready_made import install_ready_made
from notifications.services.sending import send_notification
from notifications.services.suppressions import suppress_address
from notifications.services.templates import save_template
from notifications.vocabulary import DeliveryStatus

Rows = dict[str, Any]
MODELS = (
    "category", "eventtype", "template", "notificationrequest", "notification", "delivery", "preference",
    "suppression", "quiethours", "pushsubscription",
)  # fmt: skip
MJML = "<mj-section><mj-column>\n<mj-text>Hello {{ user.first_name }}</mj-text>\n</mj-column></mj-section>"


@pytest.fixture
def clerk(staff: User) -> User:
    staff.is_staff = True
    staff.save()
    return staff


@pytest.fixture
def client(clerk: User) -> Client:
    made = Client()
    made.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    return made


def send(organization: Organization, *people: User, **more: Any) -> list[Notification]:
    given = {
        "content": {"title": "News", "body": "Something happened."},
        "channels": ["in_app", "email"],
        **more,
    }
    result = send_notification(organization=organization, recipients=list(people), **given)
    return list(Notification.objects.filter(request_id=result.request_id))


def make_rows(organization: Organization, person: User, mark: str = "row") -> Rows:
    """One row of everything that has a page."""
    category = Category.objects.create(organization=organization, key=mark, name=f"{mark} category")
    event_type = EventType.objects.create(
        organization=organization, key=f"{mark}.happened", name=f"{mark} event", category=category
    )
    template = save_template(
        organization=organization, key=mark, name=f"{mark} template", contents={"en": {"sms": "Hi"}}
    )
    (notification,) = send(organization, person, event_type=event_type.key)
    set_switches(
        organization=organization, user=None, changes=[Change("category", category.key, "email", False)]
    )
    return {
        "category": category,
        "eventtype": event_type,
        "template": template,
        "notification": notification,
        "notificationrequest": notification.request,
        "delivery": notification.deliveries.get(channel="email"),
        "preference": Preference.objects.get(organization=organization, category=category),
        "suppression": suppress_address(
            organization=organization, channel="email", address=f"{mark}-bounced@example.com"
        ),
        "quiethours": QuietHours.objects.create(organization=organization, user=person),
        "pushsubscription": PushSubscription.objects.create(
            organization=organization, user=person, device_name=f"{mark} phone", endpoint_index=mark
        ),
    }


def list_page(model: str) -> str:
    return reverse(f"admin:notifications_{model}_changelist")


def page_of(row: Any, page: str = "change") -> str:
    return reverse(f"admin:notifications_{row._meta.model_name}_{page}", args=[row.pk])


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return response.content.decode()


def press(client: Client, row: Any, action: str, **data: Any) -> Any:
    """Press a button of the row's page and confirm its dialog."""
    address = reverse(f"admin:notifications_{row._meta.model_name}_{action}", args=[row.pk])
    return client.post(address, {"_form_submitted": "on", **data}, headers={"HX-Request": "true"})


def run(client: Client, action: str, *rows: Any) -> str:
    """Run an action of the list on rows; returns the page that follows."""
    address = list_page(rows[0]._meta.model_name)
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(address, chosen, follow=True).content.decode()


def test_every_page_opens(client: Client, organization: Organization, member: User):
    rows = make_rows(organization, member)
    for model in MODELS:
        assert str(rows[model].pk) in text_of(client, list_page(model)), model
        text_of(client, page_of(rows[model]))
    for model in ("category", "eventtype", "template", "suppression", "preference"):
        text_of(client, reverse(f"admin:notifications_{model}_add"))
    text_of(client, page_of(rows["template"], "preview"))


def test_rows_of_other_organizations_are_not_there(
    client: Client, other_organization: Organization, make_user: Callable[..., User]
):
    stranger = make_user("stranger@example.com", organization=other_organization)
    rows = make_rows(other_organization, stranger, "foreign")
    for model in MODELS:
        text = text_of(client, list_page(model))
        assert str(rows[model].pk) not in text
        assert "foreign" not in text
        found = text_of(client, f"{list_page(model)}?q={rows[model].pk}")
        assert page_of(rows[model]) not in found
        # Django's admin sends who asks for a row that is not there back to its start.
        assert client.get(page_of(rows[model])).status_code in (302, 404)
    assert client.get(page_of(rows["template"], "preview")).status_code == 404
    for model, action in (
        ("notification", "cancel"), ("notification", "retry"), ("notificationrequest", "cancel_all"),
        ("delivery", "cancel_one"), ("delivery", "mark_sent"), ("template", "send_test"),
    ):  # fmt: skip
        assert press(client, rows[model], action).status_code == 403
    run(client, "cancel_selected", rows["delivery"])
    rows["delivery"].refresh_from_db()
    assert rows["delivery"].status == DeliveryStatus.PENDING


def test_members_do_not_get_in(organization: Organization, member: User):
    rows = make_rows(organization, member)
    plain = Client()
    plain.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    for model in MODELS:
        assert plain.get(list_page(model)).status_code == 302
        assert plain.get(page_of(rows[model])).status_code == 302


@pytest.mark.parametrize("model", MODELS)
def test_lists_take_as_many_queries_for_many_rows_as_for_few(
    client: Client, organization: Organization, make_user: Callable[..., User], model: str
):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(client, list_page(model))
        return len(queries)

    make_rows(organization, make_user(organization=organization))
    text_of(client, list_page(model))
    before = count()
    for number in range(4):
        make_rows(organization, make_user(organization=organization), f"more{number}")
    assert count() == before


def test_the_ledger_is_read_only(client: Client, organization: Organization, member: User):
    rows = make_rows(organization, member)
    for model in ("notificationrequest", "notification", "delivery", "quiethours", "pushsubscription"):
        text = text_of(client, page_of(rows[model]))
        assert 'name="_save"' not in text
        assert 'name="_continue"' not in text
        assert client.post(page_of(rows[model]), {"title": "Changed"}).status_code == 403
        assert client.get(reverse(f"admin:notifications_{model}_add")).status_code == 403
        assert client.post(page_of(rows[model], "delete"), {"post": "yes"}).status_code == 403


# --- The catalog --------------------------------------------------------------------------------------


def test_an_event_type_is_made_and_changed(client: Client, organization: Organization):
    category = Category.objects.create(organization=organization, key="leads", name="Leads")
    fields = {
        "organization": organization.pk, "key": "lead.created", "name": "A lead", "category": category.pk,
        "channels": ["email", "in_app"], "priority": 1, "quiet_hours_policy": "defer", "is_active": "on",
    }  # fmt: skip
    assert client.post(reverse("admin:notifications_eventtype_add"), fields).status_code == 302
    made = EventType.objects.get(key="lead.created")
    assert made.channels == ["in_app", "email"]
    revision = Organization.objects.get(pk=organization.pk).catalog_revision
    changed = {**fields, "name": "A new lead", "channels": ["sms"], "key": "another.key"}
    assert client.post(page_of(made), changed).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.channels, made.key) == ("A new lead", ["sms"], "lead.created")
    assert Organization.objects.get(pk=organization.pk).catalog_revision > revision
    refused = client.post(page_of(made), {**fields, "expires_after": "-1"})
    assert "A time span above zero." in refused.content.decode()


def test_an_event_type_takes_no_layout_and_nothing_of_another_organization(
    client: Client, organization: Organization, other_organization: Organization
):
    category = Category.objects.create(organization=organization, key="leads", name="Leads")
    layout = save_template(organization=organization, key="frame", name="Frame", kind="layout", contents={})
    foreign = save_template(organization=other_organization, key="theirs", name="Theirs", contents={})
    fields = {
        "organization": organization.pk, "key": "lead.created", "name": "A lead", "category": category.pk,
        "channels": ["email"], "priority": 1, "quiet_hours_policy": "defer",
    }  # fmt: skip
    for wrong in (layout, foreign):
        response = client.post(reverse("admin:notifications_eventtype_add"), {**fields, "template": wrong.pk})
        assert response.status_code == 200
    assert not EventType.objects.filter(key="lead.created").exists()


def test_what_was_used_to_send_is_not_deleted(client: Client, organization: Organization, member: User):
    rows = make_rows(organization, member)
    for model in ("eventtype", "category"):
        assert client.post(page_of(rows[model], "delete"), {"post": "yes"}).status_code in (200, 403)
        assert type(rows[model]).objects.filter(pk=rows[model].pk).exists()
    assert client.post(page_of(rows["template"], "delete"), {"post": "yes"}).status_code == 302
    assert not Template.objects.filter(pk=rows["template"].pk).exists()


def test_an_event_type_says_whether_it_would_reach_somebody(
    client: Client, organization: Organization, member: User
):
    rows = make_rows(organization, member)
    assert press(client, rows["eventtype"], "check_reach", email=member.email).status_code == 200
    text = text_of(client, page_of(rows["eventtype"]))
    assert "In-app: send." in text
    assert "E-mail: suppress. The person turned this off." in text


# --- Preferences and suppressions ---------------------------------------------------------------------


def test_defaults_of_the_organization(client: Client, organization: Organization, member: User):
    category = Category.objects.create(organization=organization, key="leads", name="Leads")
    set_switches(organization=organization, user=member, changes=[Change("category", "leads", "sms", True)])
    personal = Preference.objects.get(user=member)
    fields = {
        "organization": organization.pk,
        "scope": "category",
        "channel": "email",
        "category": category.pk,
    }
    address = reverse("admin:notifications_preference_add")
    assert client.post(address, fields).status_code == 302
    made = Preference.objects.get(user=None)
    assert (made.category, made.channel, made.enabled) == (category, "email", False)
    assert "There is a default for this already" in client.post(address, fields).content.decode()
    missing = client.post(address, {**fields, "category": ""}).content.decode()
    assert "Choose one: the scope says so." in missing
    assert client.post(page_of(made), {"enabled": "on"}).status_code == 302
    made.refresh_from_db()
    assert made.enabled
    assert str(personal.pk) not in text_of(client, list_page("preference"))
    assert client.get(page_of(personal)).status_code == 302
    client.post(page_of(made, "delete"), {"post": "yes"})
    assert not Preference.objects.filter(user=None).exists()


def test_an_address_is_suppressed_found_and_lifted(client: Client, organization: Organization):
    fields = {"organization": organization.pk, "channel": "email", "address": " Gone@Example.com "}
    add = reverse("admin:notifications_suppression_add")
    assert client.post(add, fields).status_code == 302
    made = Suppression.objects.get()
    assert (made.address, made.reason) == ("gone@example.com", "manual")
    assert page_of(made) in text_of(client, list_page("suppression") + "?q=gone@example.com")
    assert page_of(made) not in text_of(client, list_page("suppression") + "?q=other@example.com")
    wrong = client.post(add, {**fields, "channel": "sms", "address": "12"}).content.decode()
    assert "country code" in wrong
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    assert "This moment has passed." in client.post(add, {**fields, **past}).content.decode()
    run(client, "lift_selected", made)
    assert not Suppression.objects.exists()


# --- The ledger ---------------------------------------------------------------------------------------


def park(delivery: Delivery, status: DeliveryStatus) -> Delivery:
    """Leave the delivery as an attempt left it."""
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, provider="smtp", started_at=now(), finished_at=now(), outcome="unknown",
        detail="It hung up after the data.",
    )  # fmt: skip
    Delivery.objects.filter(pk=delivery.pk).update(
        status=status, reason="ambiguous", attempt_count=1, provider="smtp", settled_at=now()
    )
    delivery.refresh_from_db()
    return delivery


@pytest.fixture
def notification(organization: Organization, member: User) -> Notification:
    return send(organization, member)[0]


@pytest.fixture
def email(notification: Notification) -> Delivery:
    return notification.deliveries.get(channel="email")


def test_a_notification_is_explained(client: Client, notification: Notification, email: Delivery):
    park(email, DeliveryStatus.UNKNOWN)
    text = text_of(client, page_of(notification))
    assert "The provider hung or broke off: it may or may not have arrived." in text
    assert "It hung up after the data." in text
    assert "It is in the person&#x27;s inbox." in text
    assert "Neither the event type nor the caller uses this channel." in text
    assert "Accepted from python" in text
    assert "E-mail: attempt 1 through smtp" in text
    assert page_of(email) in text
    assert page_of(notification.request) in text


def test_ledger_is_searched_by_ids_and_addresses(
    client: Client, organization: Organization, member: User, make_user: Callable[..., User]
):
    (first,) = send(organization, member)
    (second,) = send(organization, make_user("other@example.com", organization=organization))
    sent = send_notification(
        organization=organization, recipients=["bare@example.com"], content={"title": "News"}
    )
    bare = Notification.objects.get(request_id=sent.request_id)
    everything = {first, second, bare}
    for term, expected in (
        (str(first.pk), {first}), (str(first.request_id), {first}), (str(member.pk), {first}),
        ("OTHER@example.com", {second}), ("bare@example.com", {bare}), ("nobody@example.com", set()),
        ("words", set()), ("+12025550123", set()), ("12@", set()),
    ):  # fmt: skip
        text = text_of(client, list_page("notification") + f"?q={term.replace('+', '%2B')}")
        assert {row for row in everything if page_of(row) in text} == expected, term
        deliveries = text_of(client, list_page("delivery") + f"?q={term.replace('+', '%2B')}")
        found = {row for row in everything if any(page_of(one) in deliveries for one in row.deliveries.all())}
        assert found == (expected if term != str(member.pk) else set()), term
    requests = text_of(client, list_page("notificationrequest") + f"?q={first.request_id}")
    assert page_of(first.request) in requests
    assert page_of(second.request) not in requests


def test_ledger_is_filtered(
    client: Client, organization: Organization, notification: Notification, email: Delivery
):
    park(email, DeliveryStatus.DEAD)
    for query, there in (
        ("status__exact=dead", True), ("status__exact=unknown", False), ("channel__exact=email", True),
        ("channel__exact=sms", False), ("provider=smtp", True), ("provider=console", False),
        ("priority__exact=2", True), ("priority__exact=0", False),
        (f"event_type={notification.event_type_id}", True), (f"event_type={uuid.uuid4()}", False),
        ("event_type=nonsense", False),
    ):  # fmt: skip
        assert (page_of(email) in text_of(client, f"{list_page('delivery')}?{query}")) is there, query
    for query, there in (
        ("source=python", True),
        ("source=api", False),
        ("created_at_from=2001-01-01", True),
    ):
        text = text_of(client, f"{list_page('notificationrequest')}?{query}")
        assert (page_of(notification.request) in text) is there, query


def test_a_request_sums_up_and_is_cancelled(
    client: Client, organization: Organization, member: User, make_user: Callable[..., User]
):
    people = [member, *(make_user(organization=organization) for _ in range(3))]
    request = send(organization, *people)[0].request
    text = " ".join(text_of(client, page_of(request)).split())
    assert "4 <span>delivered</span>" in text
    assert "4 <span>pending</span>" in text
    assert member.email in text
    assert press(client, request, "cancel_all").headers["HX-Redirect"] == page_of(request)
    assert Delivery.objects.filter(status=DeliveryStatus.CANCELLED).count() == 4
    assert "Cancelled: 4 deliveries were stopped." in text_of(client, page_of(request))
    assert press(client, request, "cancel_all").status_code == 403


def test_a_notification_is_cancelled_or_tried_again(
    client: Client, organization: Organization, notification: Notification, email: Delivery, member: User
):
    assert press(client, notification, "retry").status_code == 403
    park(email, DeliveryStatus.DEAD)
    assert press(client, notification, "cancel").status_code == 403
    press(client, notification, "retry")
    email.refresh_from_db()
    assert (email.status, email.attempts_forgiven) == (DeliveryStatus.PENDING, 1)
    press(client, notification, "cancel")
    email.refresh_from_db()
    assert email.status == DeliveryStatus.CANCELLED
    text = text_of(client, page_of(notification))
    assert "Due again: email." in text
    assert "Stopped: email. Too late for: in-app." in text


def test_failed_deliveries_are_requeued_from_the_list(
    client: Client, organization: Organization, make_user: Callable[..., User]
):
    states = (DeliveryStatus.DEAD, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
    rows = [
        park(
            send(organization, make_user(organization=organization))[0].deliveries.get(channel="email"), state
        )
        for state in states
    ]
    assert "2 due again." in run(client, "requeue_selected", *rows)
    for row in rows:
        row.refresh_from_db()
    # Sending an unknown one again may send it twice: that is an action of its own.
    assert [row.status for row in rows] == ["pending", "pending", "unknown"]
    assert "None of the selected deliveries" in run(client, "requeue_selected", rows[2])
    assert "2 cancelled." in run(client, "cancel_selected", *rows)
    assert "1 due again." in run(client, "send_selected_again", *rows)


def test_an_operator_settles_an_unknown_delivery(client: Client, notification: Notification, email: Delivery):
    assert press(client, email, "mark_sent").status_code == 403
    park(email, DeliveryStatus.UNKNOWN)
    text = text_of(client, page_of(email))
    assert "Mark as sent: it arrived" in text
    press(client, email, "mark_sent")
    email.refresh_from_db()
    assert email.status == DeliveryStatus.SENT
    assert email.sent_at is not None
    text = text_of(client, page_of(notification))
    assert "staff said that it arrived." in text
    assert "The provider accepted it." not in text
    assert press(client, email, "send_again").status_code == 403


def test_resolve_unknown_touches_nothing_else(
    organization: Organization, notification: Notification, email: Delivery
):
    assert resolve_unknown([email.pk], sent=True) == []
    email.refresh_from_db()
    assert email.status == DeliveryStatus.PENDING
    park(email, DeliveryStatus.UNKNOWN)
    assert resolve_unknown([email.pk, uuid.uuid4()], sent=False, by="Somebody") == [(email.pk, "email")]
    email.refresh_from_db()
    assert (email.status, email.attempts_forgiven) == (DeliveryStatus.PENDING, 1)
    told = explain_notification(notification_id=notification.pk, organization=organization)
    channel = next(one for one in told["channels"] if one["channel"] == "email")
    assert channel["decision"]["resolved"]["by"] == "Somebody"
    assert channel["decision"]["action"] == "send"


# --- Templates ----------------------------------------------------------------------------------------


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


def test_a_template_is_made_and_its_draft_written(client: Client, organization: Organization):
    fields = {"organization": organization.pk, "kind": "message", "key": "hello", "name": "Hello"}
    response = client.post(reverse("admin:notifications_template_add"), fields)
    made = Template.objects.get(key="hello")
    assert response.headers["Location"] == page_of(made)
    german = {"locale": "de", "in_app_title": "Hallo"}
    assert client.post(page_of(made), posted(made, ENGLISH, german)).status_code == 302
    draft = made.versions.get()
    assert {row.locale for row in draft.contents.all()} == {"en", "de"}
    assert draft.contents.get(locale="en").mjml == MJML
    text = text_of(client, page_of(made))
    assert "Hallo" in text
    client.post(page_of(made), posted(made, {**german, "DELETE": "on"}, ENGLISH, initial=2))
    assert [row.locale for row in made.versions.get().contents.all()] == ["en"]


def test_what_is_wrong_is_shown_at_its_field_with_the_line(client: Client, template: Template):
    wrong = {
        **ENGLISH, "mjml": MJML.replace("mj-text", "mj-txt"), "subject": "{{ user.first_name", "sms": "{% if x %}",
    }  # fmt: skip
    response = client.post(page_of(template), posted(template, wrong, {"locale": "EN!", "sms": "x"}))
    text = response.content.decode()
    assert response.status_code == 200
    form = response.context["adminform"].form
    errors = form.contents.forms[0].errors
    assert form.contents.forms[1].errors == {"locale": ["A language such as en, de or pt-BR."]}
    assert "The text has errors" in text
    response = client.post(page_of(template), posted(template, wrong))
    errors = response.context["adminform"].form.contents.forms[0].errors
    assert errors["mjml"] == ["Line 2: There is no <mj-txt> in MJML, or not here."]
    assert errors["subject"][0].startswith("Line 1: ")
    assert errors["sms"][0].startswith("Line 1: Unexpected end of template")
    assert "Line 2: There is no &lt;mj-txt&gt; in MJML, or not here." in response.content.decode()
    assert template.versions.get().contents.get().mjml == MJML
    twice = client.post(page_of(template), posted(template, ENGLISH, ENGLISH)).content.decode()
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
def test_declared_variables_are_checked(client: Client, template: Template, variables: str, said: str):
    response = client.post(page_of(template), posted(template, ENGLISH, variables=variables))
    assert said in response.context["adminform"].form.errors["variables"][0]


def test_publishing_makes_a_version_that_never_changes(client: Client, template: Template, clerk: User):
    client.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    version = template.versions.get()
    assert (version.status, version.published_by) == ("published", clerk)
    client.post(page_of(template), posted(template, {**ENGLISH, "in_app_title": "Hello again"}))
    states = dict(template.versions.values_list("number", "status"))
    assert states == {1: "published", 2: "draft"}
    client.post(page_of(template), posted(template, {**ENGLISH, "in_app_title": "Third"}, _publish="Publish"))
    assert dict(template.versions.values_list("number", "status")) == {1: "archived", 2: "published"}
    old = reverse("admin:notifications_template_version", args=[template.pk, 1])
    assert "Hello" in text_of(client, old)
    assert "<textarea" not in text_of(client, old)
    assert client.post(old).headers["Location"] == page_of(template)
    draft = template.versions.get(status="draft")
    assert draft.contents.get().in_app_title == "Hello"
    assert TemplateVersion.objects.get(number=2).contents.get().in_app_title == "Third"
    assert (
        client.get(reverse("admin:notifications_template_version", args=[template.pk, 9])).status_code == 404
    )


def test_an_unchanged_form_makes_no_draft_and_publishes_nothing(client: Client, template: Template):
    client.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    client.post(page_of(template), posted(template, ENGLISH))
    assert [version.number for version in template.versions.all()] == [1]
    client.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    assert "Not published: There is no draft to publish." in text_of(client, page_of(template))


def test_a_layout_says_where_the_message_goes(client: Client, organization: Organization):
    layout = save_template(organization=organization, key="frame", name="Frame", kind="layout", contents={})
    wrong = client.post(page_of(layout), posted(layout, {"locale": "en", "mjml": MJML}))
    errors = wrong.context["adminform"].form.contents.forms[0].errors
    assert errors["mjml"] == ["A layout says where the message goes with {{ content }}."]
    client.post(
        page_of(layout), posted(layout, {"locale": "en", "mjml": "{{ content }}" + MJML}, _publish="1")
    )
    assert layout.versions.get().status == "published"


def test_ready_made_templates_open_and_save(client: Client, organization: Organization):
    install_ready_made(organization=organization)
    for template in Template.objects.for_organization(organization):
        response = client.get(page_of(template))
        assert response.status_code == 200
        form = response.context["adminform"].form
        fields = {"layout": template.layout_id or ""} | {
            one.html_name: one.value() if one.name != "variables" else "{}"
            for one in form
            if one.name != "layout"
        }
        contents = [{name: form.contents.forms[0].initial[name] for name in ENGLISH}]
        sent = {**fields, **posted(template, *contents), "name": "Changed"}
        assert client.post(page_of(template), sent).status_code == 302, template.key
        assert Template.objects.get(pk=template.pk).name == "Changed"
        assert client.get(page_of(template, "preview")).status_code == 200


def test_the_preview_shows_every_channel(client: Client, template: Template, member: User):
    address = page_of(template, "preview")
    text = text_of(client, address)
    assert 'sandbox srcdoc="&lt;!DOCTYPE html&gt;' in text
    shown = client.post(address, {"member": member.email, "locale": "en", "variables": "{}"}).content.decode()
    assert f"Hello {member.first_name}" in shown
    stranger = client.post(address, {"member": "nobody@example.com", "locale": "en"}).content.decode()
    assert "No active member of this organization has this address." in stranger
    assert "Enter a valid JSON" in client.post(address, {"locale": "en", "variables": "{"}).content.decode()


def test_the_preview_names_what_is_missing(client: Client, template: Template):
    client.post(page_of(template), posted(template, {**ENGLISH, "in_app_title": "\n{{ lead.name }}"}))
    text = text_of(client, page_of(template, "preview"))
    assert "Nothing fills in <code>lead</code>" in text
    assert "the variable &#x27;lead&#x27; has no value" in text


def test_a_draft_and_what_is_published_are_sent_to_oneself(client: Client, template: Template, clerk: User):
    address = page_of(template, "preview")
    client.post(address, {"member": "", "locale": "en", "variables": "{}", "_send": "1"})
    draft = Notification.objects.get(user=clerk)
    assert draft.title == "Hello Example"
    assert page_of(draft) in text_of(client, address)
    assert press(client, template, "send_test").status_code == 403
    client.post(page_of(template), posted(template, ENGLISH, _publish="Publish"))
    press(client, template, "send_test")
    sent = NotificationRequest.objects.filter(template=template).get()
    assert (sent.source, sent.critical) == ("test", True)
    assert sent.notifications.get().user == clerk
    assert {one.channel for one in sent.notifications.get().deliveries.all()} >= {"email", "in_app"}


def test_a_test_without_a_needed_variable_says_so(client: Client, template: Template):
    needed = '{"lead": {"type": "string", "required": true}}'
    client.post(page_of(template), posted(template, ENGLISH, variables=needed, _publish="Publish"))
    press(client, template, "send_test")
    assert "Not sent (data.lead)" in text_of(client, page_of(template))
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


def test_a_suppression_of_push_is_refused(organization: Organization):
    with pytest.raises(InvalidInput, match="Only e-mail addresses"):
        suppress_address(organization=organization, channel="push", address="x")
