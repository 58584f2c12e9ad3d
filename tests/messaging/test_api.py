from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Organization, User
from messaging.api import schema
from messaging.models import Message, Thread
from messaging.services.editing import delete_message
from tests.messaging.conftest import make_member, make_organization, open_thread, say

SignIn = Callable[[User], Client]
JSON = "application/json"


def post(client: Client, path: str, body: object = None, **more: Any) -> Any:
    return client.post(f"/api/v1/{path}", {} if body is None else body, content_type=JSON, **more)


def error_of(response: Any) -> tuple[int, str, str | None]:
    (error,) = response.json()["errors"]
    return response.status_code, error["code"], error["attr"]


def test_two_people_chat_and_see_it_after_a_reload(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    a, b = signed_in(ada), signed_in(ben)
    opened = post(a, "threads", {"kind": "direct", "participants": [str(ben.id)]})
    assert opened.status_code == 201
    thread = opened.json()["id"]
    assert post(b, "threads/", {"participants": [ada.email]}).status_code == 200
    sent = post(a, f"threads/{thread}/messages", {"content": "Hello Ben", "client_id": "c1"})
    assert (sent.status_code, sent.json()["duplicate"], sent.json()["seq"]) == (201, False, 1)
    again = post(a, f"threads/{thread}/messages", {"content": "Hello Ben", "client_id": "c1"})
    assert (again.status_code, again.json()) == (200, {**sent.json(), "duplicate": True})
    shown = b.get(f"/api/v1/threads/{thread}").json()
    assert (shown["unread_count"], shown["last_message"]["content"]) == (1, "Hello Ben")
    assert b.get(f"/api/v1/threads/{thread}/messages").json()["results"] == [shown["last_message"]]
    read = post(b, f"threads/{thread}/read", {"seq": 1})
    assert read.json() == {"last_read_seq": 1, "seen_count": 1, "unread_count": 0}
    people = a.get(f"/api/v1/threads/{thread}").json()["participants"]
    assert {person["user"]["display_name"]: person["last_read_seq"] for person in people} == {
        "Ada": 0,
        "Ben": 1,
    }


def test_messages_are_edited_and_taken_back(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben)
    message = say(thread, ada, "Helo")
    a, b, path = signed_in(ada), signed_in(ben), f"/api/v1/messages/{message.id}"
    assert a.patch(path, {"content": "Hello"}, content_type=JSON).json()["content"] == "Hello"
    assert error_of(b.patch(path, {"content": "No"}, content_type=JSON))[0] == 403
    assert error_of(b.delete(path))[0] == 403
    assert a.delete(path).status_code == 204
    assert a.delete(path + "/").status_code == 204
    shown = b.get(path).json()
    assert (shown["content"], shown["deleted_at"] is not None) == ("", True)
    assert error_of(a.patch(path, {"content": "Back"}, content_type=JSON)) == (409, "deleted", None)
    events = b.get(f"/api/v1/threads/{thread.id}/events?since_seq=1").json()
    assert [(frame["seq"], frame["data"]["op"]) for frame in events["events"][:2]] == [
        (2, "edited"),
        (3, "deleted"),
    ]
    assert (events["head"], events["more"]) == (3, False)


def test_pages_of_messages_join_in_both_directions(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben)
    for number in range(1, 8):
        say(thread, ben, f"Line {number}")
    client, found = signed_in(ada), []
    address: str | None = f"/api/v1/threads/{thread.id}/messages?limit=3"
    while address:
        page = client.get(address).json()
        found += [message["seq"] for message in page["results"]]
        last, address = page, page["next"]
    assert found == [7, 6, 5, 4, 3, 2, 1]
    newer = client.get(last["previous"]).json()
    assert [message["seq"] for message in newer["results"]] == [4, 3, 2]
    newest = client.get(newer["previous"]).json()
    assert ([message["seq"] for message in newest["results"]], newest["previous"]) == ([7, 6, 5], None)
    alone = client.get(f"/api/v1/threads/{thread.id}/messages?after=7").json()
    assert alone == {"next": None, "previous": None, "results": []}


def test_events_page_with_a_limit(organization: Organization, ada: User, ben: User, signed_in: SignIn):
    thread = open_thread(organization, ada, ben)
    for number in range(5):
        say(thread, ben, f"Line {number}")
    page = signed_in(ada).get(f"/api/v1/threads/{thread.id}/events?since_seq=1&limit=2").json()
    assert ([frame["seq"] for frame in page["events"]], page["more"], page["head"]) == ([2, 3], True, 5)


def test_groups_are_run_over_rest(
    organization: Organization, ada: User, ben: User, cleo: User, signed_in: SignIn
):
    a = signed_in(ada)
    body = {"kind": "group", "participants": [str(ben.id)], "subject": "Cast", "metadata": {"act": 2}}
    thread = post(a, "threads", body).json()
    assert (thread["subject"], thread["metadata"], thread["role"]) == ("Cast", {"act": 2}, "owner")
    path = f"threads/{thread['id']}/participants"
    added = post(a, path, {"participants": [str(cleo.id), str(ben.id)], "role": "read_only"})
    assert [person["user"]["id"] for person in added.json()] == [str(cleo.id)]
    assert error_of(post(signed_in(cleo), f"threads/{thread['id']}/messages", {"content": "x"}))[0] == 403
    change = a.patch(f"/api/v1/{path}/{cleo.id}", {"role": "moderator"}, content_type=JSON)
    assert change.json()["role"] == "moderator"
    listed = a.get(f"/api/v1/{path}?limit=2").json()
    assert [len(listed["results"]), listed["next"] is not None] == [2, True]
    renamed = a.patch(f"/api/v1/threads/{thread['id']}", {"subject": "Crew"}, content_type=JSON)
    assert renamed.json()["subject"] == "Crew"
    assert signed_in(cleo).delete(f"/api/v1/{path}/{cleo.id}").status_code == 204
    assert signed_in(cleo).get(f"/api/v1/threads/{thread['id']}").status_code == 404


def test_archiving_and_muting_concern_the_caller_alone(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben)
    a, b = signed_in(ada), signed_in(ben)
    for change in ("archive", "mute"):
        assert post(a, f"threads/{thread.id}/{change}").status_code == 204
    assert a.get("/api/v1/threads").json()["results"] == []
    (shown,) = a.get("/api/v1/threads?archived=true").json()["results"]
    assert (shown["archived"], shown["muted"]) == (True, True)
    (other,) = b.get("/api/v1/threads?kind=group").json()["results"]
    assert (other["archived"], other["muted"]) == (False, False)
    for change in ("unarchive", "unmute"):
        assert post(a, f"threads/{thread.id}/{change}").status_code == 204
    assert len(a.get("/api/v1/threads").json()["results"]) == 1


def every_route(thread: Thread, message: Message, person: User) -> list[tuple[str, str, Any]]:
    base = f"/api/v1/threads/{thread.id}"
    return [
        ("get", base, None),
        ("patch", base, {"subject": "x"}),
        ("get", f"{base}/messages", None),
        ("post", f"{base}/messages", {"content": "x"}),
        ("post", f"{base}/read", {"seq": 1}),
        ("post", f"{base}/read", {}),
        ("get", f"{base}/events", None),
        ("post", f"{base}/archive", {}),
        ("post", f"{base}/unmute", {}),
        ("get", f"{base}/participants", None),
        ("post", f"{base}/participants", {"participants": [str(person.id)]}),
        ("patch", f"{base}/participants/{person.id}", {"role": "member"}),
        ("delete", f"{base}/participants/{person.id}", None),
        ("get", f"/api/v1/messages/{message.id}", None),
        ("patch", f"/api/v1/messages/{message.id}", {"content": "x"}),
        ("delete", f"/api/v1/messages/{message.id}", None),
    ]


def test_a_thread_one_is_not_in_does_not_exist(
    organization: Organization, ada: User, ben: User, cleo: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben)
    message = say(thread, ada)
    outsider = make_member(make_organization(), "zoe", role="owner")
    for stranger in (cleo, outsider):
        client = signed_in(stranger)
        for method, path, body in every_route(thread, message, stranger):
            response = getattr(client, method)(path, body, content_type=JSON)
            assert response.status_code == 404, (method, path)
            assert response.json()["errors"][0]["code"] == "not_found"
    thread.refresh_from_db()
    assert thread.seq == 1
    assert post(signed_in(cleo), "threads/not-an-id/messages", {"content": "x"}).status_code == 404
    assert signed_in(ada).get("/api/v1/threads/not-an-id").status_code == 404


def test_nobody_gets_in_without_signing_in(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    for method, path, body in every_route(thread, say(thread, ada), ada):
        response = getattr(Client(), method)(path, body, content_type=JSON)
        assert response.status_code in {401, 403}, (method, path)


@pytest.mark.parametrize(
    ("body", "code", "attr"),
    [
        ({}, "wrong_type", "content"),
        ({"content": ""}, "blank", "content"),
        ({"content": "x" * 10_001}, "max_length", "content"),
        ({"content": "a\u0000b"}, "parse_error", None),
        ({"content": {"a": 1}}, "wrong_type", "content"),
        ({"content": "x", "client_id": 7}, "wrong_type", "client_id"),
        ({"content": "x", "reply_to": "y"}, "invalid", "reply_to"),
        ({"content": "x", "reply_to": str(uuid.uuid4())}, "invalid", "reply_to"),
        ({"content": "x", "colour": "red"}, "unknown_field", "colour"),
        (["content"], "wrong_type", "non_field_errors"),
        ('"content"', "wrong_type", "non_field_errors"),
    ],
)
def test_a_malformed_message_is_explained(
    organization: Organization,
    ada: User,
    ben: User,
    signed_in: SignIn,
    body: Any,
    code: str,
    attr: str | None,
):
    thread = open_thread(organization, ada, ben)
    assert error_of(post(signed_in(ada), f"threads/{thread.id}/messages", body)) == (400, code, attr)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"kind": "club", "participants": []}, "kind"),
        ({"kind": 5}, "kind"),
        ({"participants": None}, "participants"),
        ({"participants": [str(uuid.uuid4())]}, "participants.0"),
        ({"participants": [{}]}, "participants.0"),
        ({"participants": [], "subject": None}, "subject"),
        ({"participants": [], "metadata": "x"}, "metadata"),
        ({"kind": "room", "metadata": {"a": "x" * 9000}}, "metadata"),
    ],
)
def test_a_malformed_thread_is_explained(
    organization: Organization, ada: User, signed_in: SignIn, body: Any, attr: str
):
    status, _, named = error_of(post(signed_in(ada), "threads", body))
    assert (status, named) == (400, attr)
    assert not Thread.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["messages?before=x", "messages?after=-1", "messages?limit=0", "messages?limit=201", "messages?before=1&after=1",
     "events?since_seq=abc", "events?since_seq=99999999999999999999", "events?limit=301"],
)  # fmt: skip
def test_malformed_queries_are_explained(
    organization: Organization, ada: User, ben: User, signed_in: SignIn, query: str
):
    thread = open_thread(organization, ada, ben)
    status, _, attr = error_of(signed_in(ada).get(f"/api/v1/threads/{thread.id}/{query}"))
    assert (status, attr is not None) == (400, True)


@pytest.mark.parametrize("seq", ["x", -1, 1.5, True, 2**63])
def test_a_malformed_mark_is_explained(
    organization: Organization, ada: User, ben: User, signed_in: SignIn, seq: object
):
    thread = open_thread(organization, ada, ben)
    assert error_of(post(signed_in(ada), f"threads/{thread.id}/read", {"seq": seq}))[::2] == (400, "seq")


def test_a_request_that_is_repeated_with_its_key_is_answered_once(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben)
    client, path, body = signed_in(ada), f"threads/{thread.id}/messages", {"content": "Once"}
    first = post(client, path, body, headers={"Idempotency-Key": "k1"})
    second = post(client, path, body, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Message.objects.count() == 1


def queries_for(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_lists_take_as_many_queries_for_many_as_for_few(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    client, paths = signed_in(ada), ["/api/v1/threads"]
    thread = open_thread(organization, ada, ben)
    say(thread, ben)
    paths += [f"/api/v1/threads/{thread.id}{rest}" for rest in ("", "/messages", "/events", "/participants")]
    before = [queries_for(client, path) for path in paths]
    for number in range(8):
        guest = make_member(organization, f"g{number}")
        say(open_thread(organization, ada, ben, guest), guest)
        say(thread, ben)
    assert [queries_for(client, path) for path in paths] == before
    assert max(before) <= 8


def test_the_documented_shapes_are_the_real_ones(
    organization: Organization, ada: User, ben: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben)
    message = say(thread, ben)
    delete_message(organization_id=organization.id, message_id=message.id, user_id=ben.id)
    client = signed_in(ada)
    shown = client.get(f"/api/v1/threads/{thread.id}").json()
    assert set(shown) == set(schema.Thread().fields)
    assert set(shown["last_message"]) == set(schema.Message().fields)
    assert set(shown["participants"][0]) == set(schema.Participant().fields)
    sent = post(client, f"threads/{thread.id}/messages", {"content": "x"}).json()
    assert set(sent) == set(schema.SentMessage().fields)


def test_forms_are_not_taken_for_json(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    client = APIClient()
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    path = f"/api/v1/threads/{thread.id}/messages"
    assert client.post(path, "{", content_type=JSON).status_code == 400
    assert client.post(path, "content=x", content_type="text/plain").status_code == 415
