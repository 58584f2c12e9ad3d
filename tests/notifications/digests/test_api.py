"""Digests over the API: settings, what waits, flushing, previews and test mails."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import ApiKey, Organization, User
from castcomm.common.ids import new_id
from notifications.models import Category, Delivery, DigestSetting, DigestWindow, EventType
from notifications.services import preference_links
from notifications.services.deliveries import cancel_notification
from notifications.services.sending import SendResult
from tests.notifications.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db

SETTINGS = "/api/v1/digests/settings"
Put = Callable[..., list[Delivery]]


@pytest.fixture
def theirs(api_client: Callable[..., APIClient], member: User) -> APIClient:
    return api_client(member)


def test_the_most_specific_setting_of_the_person_decides(
    theirs: APIClient, staff: User, digestible: EventType, api_client: Callable[..., APIClient], member: User
) -> None:
    member.time_zone = "Europe/Berlin"
    member.save()
    found = theirs.get(SETTINGS).json()
    assert found["time_zone"] == "Europe/Berlin"
    assert found["all"]["effective"]["frequency"] == "instant"
    assert found["all"]["effective"]["set_by"] == "nobody"
    assert found["all"]["next_at"] is None

    defaults = api_client(staff)
    given = [{"category": "general", "frequency": "weekly", "at": "07:30", "weekday": 4}]
    answer = defaults.patch("/api/v1/organization/digests", {"set": given}, format="json")
    assert answer.status_code == 200
    assert answer.json()["categories"][0]["setting"] == {"frequency": "weekly", "at": "07:30", "weekday": 4}

    def general() -> tuple[Any, dict[str, Any], Any]:
        [row] = [one for one in theirs.get(SETTINGS).json()["categories"] if one["key"] == "general"]
        assert row["is_digestible"]
        return row["setting"], row["effective"], row["next_at"]

    setting, effective, next_at = general()
    assert setting is None
    assert effective == {"frequency": "weekly", "at": "07:30", "weekday": 4, "set_by": "organization"}
    moment = dt.datetime.fromisoformat(next_at)
    assert moment.weekday() == 4
    assert moment.astimezone(dt.UTC).hour in (5, 6)  # 07:30 in Berlin

    theirs.patch(SETTINGS, {"set": [{"category": None, "frequency": "hourly"}]}, format="json")
    assert general()[1]["frequency"] == "hourly"  # the person's for all, before the organization's for one
    theirs.patch(SETTINGS, {"set": [{"category": "general", "frequency": "instant"}]}, format="json")
    assert general()[1] == {"frequency": "instant", "at": "09:00", "weekday": 0, "set_by": "person"}
    theirs.patch(SETTINGS, {"set": [{"category": "general", "frequency": None}]}, format="json")
    assert general()[1]["frequency"] == "hourly"


WRONG: list[tuple[Any, str]] = [
    ({"frequency": "daily"}, "set"),
    ([1], "set.0"),
    ([{"frequency": "daily"}, {"frequency": "monthly"}], "set.1.frequency"),
    ([{"category": "general"}], "set.0.frequency"),
    ([{"category": "", "frequency": "daily"}], "set.0.category"),
    ([{"category": ["general"], "frequency": "daily"}], "set.0.category"),
    ([{"frequency": ["daily"]}], "set.0.frequency"),
    ([{"frequency": "daily"}, {"category": "nothing", "frequency": "daily"}], "set.1.category"),
    ([{"frequency": "daily", "at": "9:00"}], "set.0.at"),
    ([{"frequency": "daily", "at": "24:00"}], "set.0.at"),
    ([{"frequency": "weekly", "weekday": 7}], "set.0.weekday"),
    ([{"frequency": "weekly", "weekday": True}], "set.0.weekday"),
    ([{"frequency": "daily", "zone": "UTC"}], "set.0.zone"),
]


def test_a_wrong_setting_is_named_and_nothing_is_half_done(theirs: APIClient, digestible: EventType) -> None:
    for given, attr in WRONG:
        answer = theirs.patch(SETTINGS, {"set": given}, format="json")
        assert answer.status_code == 400, given
        assert answer.json()["errors"][0]["attr"] == attr
    assert not DigestSetting.objects.exists()


def test_who_may_set_what(
    theirs: APIClient,
    member: User,
    organization: Organization,
    api_client: Callable[..., APIClient],
    make_api_key: Callable[..., tuple[ApiKey, str]],
) -> None:
    given = {"set": [{"category": None, "frequency": "daily"}]}
    assert theirs.patch("/api/v1/organization/digests", given, format="json").status_code == 403
    _, key = make_api_key(organization, "notifications:send")
    assert api_client(key).get(SETTINGS).status_code == 403

    # The link in a mail opens the settings, and nothing else of digests.
    visitor = APIClient()
    token = preference_links.make(organization.id, member.id, new_id())
    visitor.credentials(HTTP_AUTHORIZATION=f"Preferences {token}")
    assert visitor.patch(SETTINGS, given, format="json").status_code == 200
    assert DigestSetting.objects.get().user == member
    assert visitor.get("/api/v1/digests").status_code == 401
    assert visitor.get("/api/v1/organization/digests").status_code == 401


def test_what_waits_is_listed_and_sent_on_demand(
    theirs: APIClient,
    member: User,
    staff: User,
    organization: Organization,
    put_in: Put,
    api_client: Callable[..., APIClient],
) -> None:
    rows = put_in([member, staff], 3)
    own = [row for row in rows if row.notification.user_id == member.id]
    cancel_notification(organization=organization, notification_id=own[1].notification_id)
    [found] = theirs.get("/api/v1/digests").json()["results"]
    assert (found["frequency"], found["item_count"], found["status"]) == ("daily", 3, "open")
    assert [item["title"] for item in found["items"]] == ["News 0", "News 2"]

    foreign = DigestWindow.objects.get(user=staff)
    assert theirs.post(f"/api/v1/digests/{foreign.id}/flush").status_code == 404
    sent = theirs.post(f"/api/v1/digests/{found['id']}/flush").json()
    assert (sent["status"], sent["sent_count"]) == ("sent", 2)
    assert theirs.post(f"/api/v1/digests/{found['id']}/flush").status_code == 404
    assert theirs.post("/api/v1/digests/flush").json() == {"results": []}
    assert [one["status"] for one in api_client(staff).post("/api/v1/digests/flush").json()["results"]] == [
        "sent"
    ]


def test_a_preview_shows_what_waits_or_an_example(theirs: APIClient, member: User, put_in: Put) -> None:
    example = theirs.get("/api/v1/digests/preview").json()
    assert example["is_example"]
    assert "A first example" in example["html"]
    put_in([member], 2)
    own = theirs.get("/api/v1/digests/preview?frequency=daily").json()
    assert (own["count"], own["is_example"]) == (2, False)
    assert own["subject"].startswith("2 notifications")
    assert own["html"].index("News 0") < own["html"].index("News 1")
    assert theirs.get("/api/v1/digests/preview?frequency=hourly").json()["is_example"]
    assert theirs.get("/api/v1/digests/preview?frequency=instant").json()["errors"][0]["attr"] == "frequency"
    assert DigestWindow.objects.get().status == "open"


def test_a_test_mail_goes_to_whom_the_caller_may_write(
    theirs: APIClient,
    member: User,
    staff: User,
    organization: Organization,
    api_client: Callable[..., APIClient],
    make_api_key: Callable[..., tuple[ApiKey, str]],
    mail: SmtpServer,
    drain: Callable[..., int],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    def ask(client: APIClient, to: str, frequency: str = "daily") -> int:
        body = {"to": to, "frequency": frequency}
        return client.post("/api/v1/notifications/test-digest", body, format="json").status_code

    assert ask(theirs, staff.email) == 400
    assert ask(theirs, "stranger@example.com") == 400
    assert ask(theirs, member.email, "instant") == 400
    assert ask(theirs, member.email.upper()) == 202
    assert ask(api_client(staff), str(member.id), "weekly") == 202
    assert ask(api_client(staff), "stranger@example.com") == 400
    _, read = make_api_key(organization, "notifications:read")
    assert ask(api_client(read), "stranger@example.com") == 403
    _, key = make_api_key(organization, "notifications:send")
    assert ask(api_client(key), "stranger@example.com") == 202
    drain()
    subjects = {arrived.message["To"]: arrived.message["Subject"] for arrived in mail.arrived}
    assert set(subjects) == {member.email, "stranger@example.com"}
    assert set(subjects.values()) == {"[Test] 3 notifications from First"}
    html = mail.arrived[0].message.get_body(("html",)).get_content()
    assert "A first example" in html


def test_settings_decide_where_mail_goes(
    theirs: APIClient, member: User, digestible: EventType, send: Callable[..., SendResult]
) -> None:
    def state(**more: Any) -> tuple[str, str]:
        sent = send(member, event_type="news", **more)
        found = Delivery.objects.get(notification=sent.notifications[0].id, channel="email")
        return found.status, found.reason

    assert state()[0] == "pending"
    theirs.patch(SETTINGS, {"set": [{"category": "general", "frequency": "hourly"}]}, format="json")
    assert state() == ("in_digest", "digest")
    assert state(priority="urgent")[0] == "pending"
    assert state(critical=True) == ("pending", "critical")
    Category.objects.filter(key="general").update(requires_consent=False)
    theirs.patch(SETTINGS, {"set": [{"category": "general", "frequency": "instant"}]}, format="json")
    assert state()[0] == "pending"
