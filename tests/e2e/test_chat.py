"""Two people talk, on good and bad connections."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from accounts.models import User
from messaging.models import Message, Thread
from messaging.services.threads import create_thread
from tests.e2e.conftest import PHONE, OpenPage

SENT = ".message.own:not([data-state])"


@pytest.fixture
def thread(people: tuple[User, User]) -> Thread:
    ada, dan = people
    organization_id = ada.memberships.get().organization_id
    thread, _ = create_thread(
        organization_id=organization_id, creator_id=ada.id, kind="direct", participants=[str(dan.id)]
    )
    return thread


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def heard(page: Page, text: str) -> None:
    expect(page.get_by_role("log").locator(".bubble", has_text=text)).to_be_visible()


def test_two_people_chat_and_see_it_after_a_reload(open_page: OpenPage, people: tuple[User, User]) -> None:
    ada, dan = people
    ours, theirs = open_page(ada, "/chat/"), open_page(dan, "/chat/", viewport=PHONE, has_touch=True)
    expect(theirs.get_by_text("No conversations yet")).to_be_visible()
    ours.get_by_role("button", name="New conversation").first.click()
    ours.get_by_label("Who with?").fill("dan")
    ours.get_by_role("button", name="Dan Director").click()
    say(ours, "Is it still at ten?")
    expect(ours.locator(SENT)).to_have_count(1)

    theirs.get_by_role("link", name="Ada Actor").click()
    heard(theirs, "Is it still at ten?")
    expect(ours.get_by_text("Read", exact=True)).to_be_visible()
    theirs.get_by_label("Message", exact=True).press_sequentially("Yes")
    expect(ours.get_by_text("Dan Director is typing…")).to_be_visible()
    theirs.get_by_role("button", name="Send").click()
    heard(ours, "Yes")

    theirs.get_by_role("button", name="Back to conversations").click()
    say(ours, "Good, see you")
    expect(
        theirs.get_by_role("link", name="Dan").or_(theirs.get_by_role("link", name="Ada"))
    ).to_contain_text("1 unread")
    for page in (ours, theirs):
        page.reload()
    for text in ("Is it still at ten?", "Yes", "Good, see you"):
        heard(ours, text)
    theirs.get_by_role("link", name="Ada Actor").click()
    heard(theirs, "Good, see you")
    assert list(Message.objects.order_by("seq").values_list("content", flat=True)) == [
        "Is it still at ten?",
        "Yes",
        "Good, see you",
    ]


class Wire:
    """Stands between a page and the server's socket; ``lose`` says which frames never reach the page."""

    def __init__(self, page: Page) -> None:
        self.sent: list[dict[str, Any]] = []
        self.cut_at_ack = False
        self.refuse_next = False
        page.route_web_socket("**/ws/**", self._connect)

    def _connect(self, to_page: WebSocketRoute) -> None:
        to_server = to_page.connect_to_server()

        def from_page(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame["event"] == "message:send":
                self.sent.append(frame["data"])
                if self.refuse_next:
                    self.refuse_next = False
                    data = {"code": "not_permitted", "message": "Not now.", "temporary": False}
                    to_page.send(json.dumps({"ack": frame["id"], "event": "error", "data": data}))
                    return
            to_server.send(text)

        def from_server(text: str | bytes) -> None:
            event = json.loads(text)["event"]
            if self.cut_at_ack and event in ("message:send", "message:received"):
                # It was written, but the page never hears of it.
                self.cut_at_ack = False
                to_page.close(code=1012)
                to_server.close()
                return
            to_page.send(text)

        to_page.on_message(from_page)
        to_server.on_message(from_server)


def test_a_send_whose_answer_was_lost_is_repeated_and_written_once(
    open_page: OpenPage, people: tuple[User, User], thread: Thread
) -> None:
    ada, _ = people
    page = open_page(ada, "/inbox/")
    wire = Wire(page)
    page.goto(f"/chat/{thread.id}/")
    expect(page.get_by_text("No messages yet. Say hello.")).to_be_visible()
    wire.cut_at_ack = True
    say(page, "Only once, please")
    expect(page.locator(SENT)).to_have_count(1, timeout=15_000)
    expect(page.locator(".bubble")).to_have_count(1)
    assert Message.objects.filter(content="Only once, please").count() == 1
    assert len({frame["client_id"] for frame in wire.sent}) == 1


def test_a_refused_send_can_be_tried_again_under_the_same_name(
    open_page: OpenPage, people: tuple[User, User], thread: Thread
) -> None:
    ada, _ = people
    page = open_page(ada, "/inbox/")
    wire = Wire(page)
    page.goto(f"/chat/{thread.id}/")
    expect(page.get_by_text("No messages yet. Say hello.")).to_be_visible()
    wire.refuse_next = True
    say(page, "Second try")
    expect(page.get_by_role("alert")).to_contain_text("Not sent. Not now.")
    page.reload()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(SENT)).to_have_count(1)
    expect(page.get_by_role("alert").filter(has_text="Not sent")).to_have_count(0)
    first, second = wire.sent
    assert first == second
    assert Message.objects.get().client_id == first["client_id"]


def test_what_is_written_offline_goes_out_later_in_order(
    open_page: OpenPage, people: tuple[User, User], thread: Thread
) -> None:
    ada, _ = people
    page = open_page(ada, f"/chat/{thread.id}/")
    expect(page.get_by_text("No messages yet. Say hello.")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("No connection. Messages are sent when it is back.")).to_be_visible()
    for text in ("one", "two", "three"):
        say(page, text)
    expect(page.get_by_text("Waiting…")).to_have_count(3)
    page.context.set_offline(False)
    expect(page.locator(SENT)).to_have_count(3, timeout=15_000)
    assert list(Message.objects.order_by("seq").values_list("content", flat=True)) == ["one", "two", "three"]
