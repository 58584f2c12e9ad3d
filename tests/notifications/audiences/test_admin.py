"""Topics, lists and broadcasts in the admin, and the command that broadcasts."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from notifications.management.commands import broadcast as command
from notifications.models import (
    Broadcast,
    ConsentRecord,
    ListMember,
    Notification,
    RecipientList,
    Topic,
    TopicSubscription,
)
from notifications.services import fanout
from notifications.services.audiences.steering import Progress, find_broadcast

from ..admin_pages import list_page, page_of, press, text_of

Publish = Callable[..., Broadcast]


def status_of(row: Broadcast) -> str:
    return Broadcast.objects.select_related("request").get(id=row.id).request.status


def test_a_broadcast_is_followed_and_steered(
    desk: Client, publish: Publish, people: list[User], organization: Organization
) -> None:
    made = publish({"role": "member"}, people[0])
    page = text_of(desk, page_of(made))
    assert "0 of about 30 recipients" in page
    assert "role member; 1 named besides" in page
    address = reverse("admin:notifications_broadcast_progress", args=[made.pk])
    assert "every 2s" in text_of(desk, f"{address}?was=fanning_out")
    assert press(desk, made, "pause").status_code == 200
    assert status_of(made) == "paused"
    assert desk.get(f"{address}?was=fanning_out").headers["HX-Refresh"] == "true"
    assert "every 2s" not in text_of(desk, f"{address}?was=paused")
    assert (fanout.run(), Notification.objects.count()) == (0, 0)
    press(desk, made, "resume")
    fanout.run()
    assert "100%" in text_of(desk, list_page("broadcast"))
    assert "30 messages wait to be sent" in text_of(desk, page_of(made))
    press(desk, made, "cancel")
    assert status_of(made) == "cancelled"
    assert "cancelled" in text_of(desk, page_of(made))


def test_foreign_broadcasts_topics_and_lists_do_not_exist(
    desk: Client, publish: Publish, people: list[User], make_topic: Any, other_organization: Organization
) -> None:
    made = publish({"role": "member"})
    topic = make_topic("theirs", organization=other_organization)
    Broadcast.objects.filter(id=made.id).update(organization=other_organization)
    address = reverse("admin:notifications_broadcast_progress", args=[made.pk])
    assert desk.get(f"{address}?was=fanning_out").status_code == 404
    assert press(desk, made, "pause").status_code in (302, 403)
    assert press(desk, topic, "put_in", people="a@example.com").status_code in (302, 403)
    assert status_of(made) == "fanning_out"
    assert "Theirs" not in text_of(desk, list_page("topic"))


def test_staff_put_people_into_topics_and_lists(
    desk: Client, clerk: User, people: list[User], organization: Organization
) -> None:
    fields = {
        "organization": organization.pk,
        "key": "weekly",
        "name": "Weekly",
        "description": "",
        "is_open": "on",
    }
    assert (
        "lower-case"
        in desk.post(reverse("admin:notifications_topic_add"), {**fields, "key": "A b"}).content.decode()
    )
    desk.post(reverse("admin:notifications_topic_add"), fields)
    topic = Topic.objects.get()
    three = "\n".join(one.email for one in people[:3])
    press(desk, topic, "put_in", people=f"{three}\n")
    assert topic.subscriptions.count() == 3
    press(desk, topic, "put_in", people=f"{people[4].email}\nnobody@example.com")
    page = text_of(desk, page_of(topic))
    assert "Line 2: No active member is meant by this." in page
    assert people[2].email in page
    press(desk, topic, "take_out", people=people[0].email)
    assert TopicSubscription.objects.count() == 2
    told = ConsentRecord.objects.values_list("granted", "source", "actor")
    assert sorted(told) == [(False, "staff", clerk.id), *[(True, "staff", clerk.id)] * 3]


def test_a_file_is_imported_into_a_list(
    desk: Client, people: list[User], make_list: Any, publish: Publish
) -> None:
    press_list: RecipientList = make_list("press")
    address = reverse("admin:notifications_recipientlist_import_file", args=[press_list.pk])
    assert "CSV file" in text_of(desk, address)
    content = f"email\n{people[0].email}\nnew@example.com\nnot one\n".encode()
    page = desk.post(address, {"file": SimpleUploadedFile("people.csv", content)}).content.decode()
    assert "2 added, 0 changed, 0 on the list already, 1 not taken" in page
    assert ListMember.objects.get(user=None).address == "new@example.com"
    assert "new@example.com" in text_of(desk, page_of(press_list))
    press(desk, press_list, "put_in", people="+12025550123")
    publish({"list": "press"})
    assert (
        "on its way"
        in desk.post(page_of(press_list, "delete"), {"post": "yes"}, follow=True).content.decode()
    )
    assert ListMember.objects.count() == 3


def call(*arguments: str) -> str:
    out = StringIO()
    call_command("broadcast", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_sends_watches_and_steers(
    organization: Organization, news: Any, people: list[User], make_topic: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    make_topic(people=people[:4])
    slug = f"--organization={organization.slug}"
    to = ("--topic=weekly", "--event-type=news")
    assert "4 recipients. Nothing" in call(slug, *to, "--dry-run")
    assert not Broadcast.objects.exists()
    given = tmp_path / "said.json"
    given.write_text('{"content": {"title": "Hi", "body": "All"}, "tags": ["spring"]}')
    monkeypatch.setattr(command.time, "sleep", lambda _: fanout.run())
    told = call(slug, *to, f"--file={given}", "--idempotency-key=k")
    assert "0 of 4 written" in told
    assert "100%" in told
    assert Notification.objects.filter(title="Hi", tags=["spring"]).count() == 4
    made = Broadcast.objects.get()
    assert "4 deliveries are held" in call(slug, f"--pause={made.id}")
    assert "Paused." in call(slug, f"--watch={made.id}")
    assert "4 deliveries go on" in call(slug, f"--resume={made.id}")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    answers = iter(["w", "c"])
    monkeypatch.setattr(command.time, "sleep", interrupted)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert "0 deliveries were stopped" in call(slug, "--everyone", "--event-type=news")
    assert find_broadcast(organization, Broadcast.objects.latest("id").id).request.status == "cancelled"
    given.write_text('{"contents": {}}')
    for wrong in (
        ("--organization=nowhere", *to), (slug, "--event-type=news"), (slug, "--topic=none", "--event-type=news"),
        (slug, "--pause=x"), (slug, *to, f"--file={given}"), (slug, *to, "--file=/nowhere.json"),
    ):  # fmt: skip
        with pytest.raises(CommandError):
            call(*wrong)


@pytest.mark.parametrize(
    ("fields", "percent", "left"),
    [
        ({"status": "fanning_out", "written": 0, "total": 100}, 0, None),
        ({"status": "fanning_out", "written": 50, "total": 100, "write_rate": 5.0}, 50, 10.0),
        (
            {"status": "fanning_out", "written": 50, "total": 100, "write_rate": 5.0, "send_rate": 2.0,
             "deliveries": {"email": {"pending": 20, "sent": 30}, "in_app": {"delivered": 50}}},
            50, 20.0,
        ),
        ({"status": "done", "written": 97, "total": 100, "send_rate": 1.0,
          "deliveries": {"email": {"sending": 3, "deferred": 4}}}, 100, 7.0),
        ({"status": "paused", "written": 100, "total": 100, "deliveries": {"email": {"paused": 3}}}, 99, None),
        ({"status": "done", "written": 0, "total": 0}, 100, None),
    ],
)  # fmt: skip
def test_how_long_it_takes(fields: dict[str, Any], percent: int, left: float | None) -> None:
    progress = Progress(**fields)
    assert (progress.percent, progress.seconds_left) == (percent, left)
