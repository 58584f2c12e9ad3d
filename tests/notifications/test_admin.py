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
    Preference,
    PushSubscription,
    QuietHours,
    Suppression,
    Template,
)
from notifications.services.deliveries import resolve_unknown
from notifications.services.explain import explain_notification
from notifications.services.preferences import Change, set_switches
from notifications.services.sending import send_notification
from notifications.services.suppressions import suppress_address
from notifications.services.templates import save_template
from notifications.vocabulary import DeliveryStatus

from .admin_pages import list_page, page_of, press, run, send, text_of

Rows = dict[str, Any]
MODELS = (
    "category", "eventtype", "template", "notificationrequest", "notification", "delivery", "preference",
    "suppression", "quiethours", "pushsubscription",
)  # fmt: skip


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


def test_every_page_opens(desk: Client, organization: Organization, member: User):
    rows = make_rows(organization, member)
    for model in MODELS:
        assert str(rows[model].pk) in text_of(desk, list_page(model)), model
        text_of(desk, page_of(rows[model]))
    for model in ("category", "eventtype", "template", "suppression", "preference"):
        text_of(desk, reverse(f"admin:notifications_{model}_add"))
    text_of(desk, page_of(rows["template"], "preview"))


def test_rows_of_other_organizations_are_not_there(
    desk: Client, other_organization: Organization, make_user: Callable[..., User]
):
    stranger = make_user("stranger@example.com", organization=other_organization)
    rows = make_rows(other_organization, stranger, "foreign")
    for model in MODELS:
        text = text_of(desk, list_page(model))
        assert str(rows[model].pk) not in text
        assert "foreign" not in text
        found = text_of(desk, f"{list_page(model)}?q={rows[model].pk}")
        assert page_of(rows[model]) not in found
        # Django's admin sends who asks for a row that is not there back to its start.
        assert desk.get(page_of(rows[model])).status_code in (302, 404)
    assert desk.get(page_of(rows["template"], "preview")).status_code == 404
    for model, action in (
        ("notification", "cancel"), ("notification", "retry"), ("notificationrequest", "cancel_all"),
        ("delivery", "cancel_one"), ("delivery", "mark_sent"), ("template", "send_test"),
    ):  # fmt: skip
        assert press(desk, rows[model], action).status_code == 403
    run(desk, "cancel_selected", rows["delivery"])
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
    desk: Client, organization: Organization, make_user: Callable[..., User], model: str
):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(desk, list_page(model))
        return len(queries)

    make_rows(organization, make_user(organization=organization))
    text_of(desk, list_page(model))
    before = count()
    for number in range(4):
        make_rows(organization, make_user(organization=organization), f"more{number}")
    assert count() == before


def test_the_ledger_is_read_only(desk: Client, organization: Organization, member: User):
    rows = make_rows(organization, member)
    for model in ("notificationrequest", "notification", "delivery", "quiethours", "pushsubscription"):
        text = text_of(desk, page_of(rows[model]))
        assert 'name="_save"' not in text
        assert 'name="_continue"' not in text
        assert desk.post(page_of(rows[model]), {"title": "Changed"}).status_code == 403
        assert desk.get(reverse(f"admin:notifications_{model}_add")).status_code == 403
        assert desk.post(page_of(rows[model], "delete"), {"post": "yes"}).status_code == 403


# --- The catalog --------------------------------------------------------------------------------------


def test_an_event_type_is_made_and_changed(desk: Client, organization: Organization):
    category = Category.objects.create(organization=organization, key="leads", name="Leads")
    fields = {
        "organization": organization.pk, "key": "lead.created", "name": "A lead", "category": category.pk,
        "channels": ["email", "in_app"], "priority": 1, "quiet_hours_policy": "defer", "is_active": "on",
    }  # fmt: skip
    assert desk.post(reverse("admin:notifications_eventtype_add"), fields).status_code == 302
    made = EventType.objects.get(key="lead.created")
    assert made.channels == ["in_app", "email"]
    revision = Organization.objects.get(pk=organization.pk).catalog_revision
    changed = {**fields, "name": "A new lead", "channels": ["sms"], "key": "another.key"}
    assert desk.post(page_of(made), changed).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.channels, made.key) == ("A new lead", ["sms"], "lead.created")
    assert Organization.objects.get(pk=organization.pk).catalog_revision > revision
    refused = desk.post(page_of(made), {**fields, "expires_after": "-1"})
    assert "A time span above zero." in refused.content.decode()


def test_an_event_type_takes_no_layout_and_nothing_of_another_organization(
    desk: Client, organization: Organization, other_organization: Organization
):
    category = Category.objects.create(organization=organization, key="leads", name="Leads")
    layout = save_template(organization=organization, key="frame", name="Frame", kind="layout", contents={})
    foreign = save_template(organization=other_organization, key="theirs", name="Theirs", contents={})
    fields = {
        "organization": organization.pk, "key": "lead.created", "name": "A lead", "category": category.pk,
        "channels": ["email"], "priority": 1, "quiet_hours_policy": "defer",
    }  # fmt: skip
    for wrong in (layout, foreign):
        response = desk.post(reverse("admin:notifications_eventtype_add"), {**fields, "template": wrong.pk})
        assert response.status_code == 200
    assert not EventType.objects.filter(key="lead.created").exists()


def test_what_was_used_to_send_is_not_deleted(desk: Client, organization: Organization, member: User):
    rows = make_rows(organization, member)
    for model in ("eventtype", "category"):
        assert desk.post(page_of(rows[model], "delete"), {"post": "yes"}).status_code in (200, 403)
        assert type(rows[model]).objects.filter(pk=rows[model].pk).exists()
    assert desk.post(page_of(rows["template"], "delete"), {"post": "yes"}).status_code == 302
    assert not Template.objects.filter(pk=rows["template"].pk).exists()


def test_an_event_type_says_whether_it_would_reach_somebody(
    desk: Client, organization: Organization, member: User
):
    rows = make_rows(organization, member)
    assert press(desk, rows["eventtype"], "check_reach", email=member.email).status_code == 200
    text = text_of(desk, page_of(rows["eventtype"]))
    assert "In-app: send." in text
    assert "E-mail: suppress. It was turned off in the preferences." in text


# --- Preferences and suppressions ---------------------------------------------------------------------


def test_defaults_of_the_organization(desk: Client, organization: Organization, member: User):
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
    assert desk.post(address, fields).status_code == 302
    made = Preference.objects.get(user=None)
    assert (made.category, made.channel, made.enabled) == (category, "email", False)
    assert "There is a default for this already" in desk.post(address, fields).content.decode()
    missing = desk.post(address, {**fields, "category": ""}).content.decode()
    assert "Choose one: the scope says so." in missing
    assert desk.post(page_of(made), {"enabled": "on"}).status_code == 302
    made.refresh_from_db()
    assert made.enabled
    assert str(personal.pk) not in text_of(desk, list_page("preference"))
    assert desk.get(page_of(personal)).status_code == 302
    desk.post(page_of(made, "delete"), {"post": "yes"})
    assert not Preference.objects.filter(user=None).exists()


def test_an_address_is_suppressed_found_and_lifted(desk: Client, organization: Organization):
    fields = {"organization": organization.pk, "channel": "email", "address": " Gone@Example.com "}
    add = reverse("admin:notifications_suppression_add")
    assert desk.post(add, fields).status_code == 302
    made = Suppression.objects.get()
    assert (made.address, made.reason) == ("gone@example.com", "manual")
    assert page_of(made) in text_of(desk, list_page("suppression") + "?q=gone@example.com")
    assert page_of(made) not in text_of(desk, list_page("suppression") + "?q=other@example.com")
    wrong = desk.post(add, {**fields, "channel": "sms", "address": "12"}).content.decode()
    assert "country code" in wrong
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    assert "This moment has passed." in desk.post(add, {**fields, **past}).content.decode()
    run(desk, "lift_selected", made)
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


def test_a_notification_is_explained(desk: Client, notification: Notification, email: Delivery):
    park(email, DeliveryStatus.UNKNOWN)
    text = text_of(desk, page_of(notification))
    assert "The provider hung or broke off: it may or may not have arrived." in text
    assert "It hung up after the data." in text
    assert "It is in the person&#x27;s inbox." in text
    assert "It does not use this channel." in text
    assert "Accepted from python" in text
    assert "E-mail: attempt 1 through smtp" in text
    assert page_of(email) in text
    assert page_of(notification.request) in text


def test_ledger_is_searched_by_ids_and_addresses(
    desk: Client, organization: Organization, member: User, make_user: Callable[..., User]
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
        text = text_of(desk, list_page("notification") + f"?q={term.replace('+', '%2B')}")
        assert {row for row in everything if page_of(row) in text} == expected, term
        deliveries = text_of(desk, list_page("delivery") + f"?q={term.replace('+', '%2B')}")
        found = {row for row in everything if any(page_of(one) in deliveries for one in row.deliveries.all())}
        assert found == (expected if term != str(member.pk) else set()), term
    requests = text_of(desk, list_page("notificationrequest") + f"?q={first.request_id}")
    assert page_of(first.request) in requests
    assert page_of(second.request) not in requests


def test_ledger_is_filtered(
    desk: Client, organization: Organization, notification: Notification, email: Delivery
):
    park(email, DeliveryStatus.DEAD)
    for query, there in (
        ("status__exact=dead", True), ("status__exact=unknown", False), ("channel__exact=email", True),
        ("channel__exact=sms", False), ("provider=smtp", True), ("provider=console", False),
        ("priority__exact=2", True), ("priority__exact=0", False),
        (f"event_type={notification.event_type_id}", True), (f"event_type={uuid.uuid4()}", False),
        ("event_type=nonsense", False),
    ):  # fmt: skip
        assert (page_of(email) in text_of(desk, f"{list_page('delivery')}?{query}")) is there, query
    for query, there in (
        ("source=python", True),
        ("source=api", False),
        ("created_at_from=2001-01-01", True),
    ):
        text = text_of(desk, f"{list_page('notificationrequest')}?{query}")
        assert (page_of(notification.request) in text) is there, query


def test_a_request_sums_up_and_is_cancelled(
    desk: Client, organization: Organization, member: User, make_user: Callable[..., User]
):
    people = [member, *(make_user(organization=organization) for _ in range(3))]
    request = send(organization, *people)[0].request
    text = " ".join(text_of(desk, page_of(request)).split())
    assert "4 <span>delivered</span>" in text
    assert "4 <span>pending</span>" in text
    assert member.email in text
    assert press(desk, request, "cancel_all").headers["HX-Redirect"] == page_of(request)
    assert Delivery.objects.filter(status=DeliveryStatus.CANCELLED).count() == 4
    assert "Cancelled: 4 deliveries were stopped." in text_of(desk, page_of(request))
    assert press(desk, request, "cancel_all").status_code == 403


def test_a_notification_is_cancelled_or_tried_again(
    desk: Client, organization: Organization, notification: Notification, email: Delivery, member: User
):
    assert press(desk, notification, "retry").status_code == 403
    park(email, DeliveryStatus.DEAD)
    assert press(desk, notification, "cancel").status_code == 403
    press(desk, notification, "retry")
    email.refresh_from_db()
    assert (email.status, email.attempts_forgiven) == (DeliveryStatus.PENDING, 1)
    press(desk, notification, "cancel")
    email.refresh_from_db()
    assert email.status == DeliveryStatus.CANCELLED
    text = text_of(desk, page_of(notification))
    assert "Due again: email." in text
    assert "Stopped: email. Too late for: in-app." in text


def test_a_person_who_was_warned_may_try_again_what_may_have_arrived(
    desk: Client, notification: Notification, email: Delivery
):
    park(email, DeliveryStatus.UNKNOWN)
    address = reverse("admin:notifications_notification_retry", args=[notification.pk])
    question = desk.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "if such a one arrived after all, the person gets it twice" in question
    press(desk, notification, "retry")
    email.refresh_from_db()
    assert email.status == DeliveryStatus.PENDING


def test_failed_deliveries_are_requeued_from_the_list(
    desk: Client, organization: Organization, make_user: Callable[..., User]
):
    states = (DeliveryStatus.DEAD, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
    rows = [
        park(
            send(organization, make_user(organization=organization))[0].deliveries.get(channel="email"), state
        )
        for state in states
    ]
    assert "2 due again." in run(desk, "requeue_selected", *rows)
    for row in rows:
        row.refresh_from_db()
    # Sending an unknown one again may send it twice: that is an action of its own.
    assert [row.status for row in rows] == ["pending", "pending", "unknown"]
    assert "None of the selected deliveries" in run(desk, "requeue_selected", rows[2])
    assert "2 cancelled." in run(desk, "cancel_selected", *rows)
    assert "1 due again." in run(desk, "send_selected_again", *rows)


def test_an_operator_settles_an_unknown_delivery(desk: Client, notification: Notification, email: Delivery):
    assert press(desk, email, "mark_sent").status_code == 403
    park(email, DeliveryStatus.UNKNOWN)
    text = text_of(desk, page_of(email))
    assert "Mark as sent: it arrived" in text
    press(desk, email, "mark_sent")
    email.refresh_from_db()
    assert email.status == DeliveryStatus.SENT
    assert email.sent_at is not None
    text = text_of(desk, page_of(notification))
    assert "staff said that it arrived." in text
    assert "The provider accepted it." not in text
    assert press(desk, email, "send_again").status_code == 403


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


def test_a_suppression_of_push_is_refused(organization: Organization):
    with pytest.raises(InvalidInput, match="Only e-mail addresses"):
        suppress_address(organization=organization, channel="push", address="x")
