from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, User
from castcomm.common import events
from castcomm.common.errors import Conflict, InvalidInput, NotFound, NotPermitted
from messaging.events import MessageSent
from messaging.models import Message, Participant, Thread
from messaging.services.editing import delete_message, edit_message
from messaging.services.participants import change_role
from messaging.services.sending import send_message
from tests.messaging.conftest import make_member, make_organization, open_thread, say


def test_a_message_gets_the_next_number_and_moves_the_thread(
    organization: Organization, ada: User, ben: User
):
    thread = open_thread(organization, ada, ben, kind="direct")
    first, second = say(thread, ada, "One"), say(thread, ben, "Two")
    thread.refresh_from_db()
    assert [(first.seq, first.msg_seq), (second.seq, second.msg_seq)] == [(1, 1), (2, 2)]
    assert (thread.seq, thread.msg_seq) == (2, 2)
    assert thread.last_message_id == second.id
    assert thread.active_at == second.created_at
    assert Message.objects.get(id=first.id).content == "One"


def test_the_same_client_id_answers_the_first_result(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    first = say(thread, ada, "Once", client_id="c1")
    again = send_message(
        organization_id=organization.id,
        thread_id=thread.id,
        sender_id=ada.id,
        content="Once",
        client_id="c1",
    )
    thread.refresh_from_db()
    assert again.duplicate
    assert again.message == first
    assert (thread.seq, thread.msg_seq) == (1, 1)
    assert Participant.objects.get(thread=thread, user=ada).seen_count == 1


def test_a_repeated_send_is_recognised_after_an_edit_and_a_deletion(
    organization: Organization, ada: User, ben: User
):
    thread = open_thread(organization, ada, ben)
    first = say(thread, ada, "Once", client_id="c1")
    who = {"organization_id": organization.id, "message_id": first.id, "user_id": ada.id}
    edit_message(**who, content="Changed")
    assert say(thread, ada, "Once", client_id="c1") == first
    delete_message(**who)
    assert say(thread, ada, "Once", client_id="c1") == first


def test_the_same_client_id_with_something_else_is_a_conflict(
    organization: Organization, ada: User, ben: User, cleo: User
):
    thread = open_thread(organization, ada, ben)
    other_thread = open_thread(organization, ada, cleo)
    first = say(thread, ada, "Once", client_id="c1")
    for target, content, more in (
        (thread, "Other", {}),
        (other_thread, "Once", {}),
        (thread, "Once", {"reply_to_id": first.id}),
    ):
        with pytest.raises(Conflict) as refused:
            say(target, ada, content, client_id="c1", **more)
        assert refused.value.attr == "client_id"
    assert Message.objects.count() == 1
    assert say(thread, ben, "Other", client_id="c1").msg_seq == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "blank"),
        (" \n\t", "blank"),
        ("x" * 10_001, "max_length"),
        ("a\x00b", "null_character"),
        ("a\ud800b", "invalid_unicode"),
        (None, "wrong_type"),
        (7, "wrong_type"),
        (["a"], "wrong_type"),
    ],
)
def test_content_that_cannot_be_sent_is_refused(
    organization: Organization, ada: User, ben: User, content: object, code: str
):
    thread = open_thread(organization, ada, ben)
    with pytest.raises(InvalidInput) as refused:
        say(thread, ada, content)  # type: ignore[arg-type]
    assert (refused.value.attr, refused.value.code) == ("content", code)
    thread.refresh_from_db()
    assert thread.seq == 0


def test_ten_thousand_characters_of_any_script_are_kept(organization: Organization, ada: User, ben: User):
    content = ("ß漢🎬e\u0301\n" * 2_000)[:10_000]
    message = say(open_thread(organization, ada, ben), ada, content)
    assert Message.objects.get(id=message.id).content == content


@pytest.mark.parametrize("client_id", ["", "x" * 101, "a\x00", "a\nb", 5, True, {"a": 1}])
def test_a_client_id_that_cannot_be_kept_is_refused(
    organization: Organization, ada: User, ben: User, client_id: object
):
    with pytest.raises(InvalidInput) as refused:
        say(open_thread(organization, ada, ben), ada, client_id=client_id)
    assert refused.value.attr == "client_id"


def test_a_reply_points_into_the_same_thread(organization: Organization, ada: User, ben: User, cleo: User):
    thread, elsewhere = open_thread(organization, ada, ben), open_thread(organization, ada, cleo)
    first, foreign = say(thread, ben), say(elsewhere, ada)
    assert say(thread, ada, reply_to_id=first.id).reply_to_id == first.id
    for wrong in (foreign.id, uuid.uuid4()):
        with pytest.raises(InvalidInput) as refused:
            say(thread, ada, reply_to_id=wrong)
        assert refused.value.attr == "reply_to"
    thread.refresh_from_db()
    assert thread.msg_seq == 2


def test_only_participants_of_the_same_organization_may_send(
    organization: Organization, ada: User, ben: User, cleo: User
):
    thread = open_thread(organization, ada, ben)
    for sender, where in ((cleo, organization.id), (ada, make_organization().id)):
        with pytest.raises(NotFound):
            send_message(organization_id=where, thread_id=thread.id, sender_id=sender.id, content="Hi")
    with pytest.raises(NotFound):
        send_message(organization_id=organization.id, thread_id=uuid.uuid4(), sender_id=ada.id, content="Hi")
    assert Thread.objects.get(id=thread.id).seq == 0


def test_whoever_may_only_read_cannot_send(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    change_role(
        organization_id=organization.id,
        thread_id=thread.id,
        user_id=ada.id,
        participant_user_id=ben.id,
        role="read_only",
    )
    with pytest.raises(NotPermitted):
        say(thread, ben)
    assert say(thread, ada).msg_seq == 1


@pytest.mark.parametrize("participants", [2, 12])
@pytest.mark.django_db(transaction=True)
def test_sending_takes_one_prepared_statement_however_many_listen(participants: int):
    organization = make_organization()
    people = [make_member(organization, f"p{number}") for number in range(participants)]
    thread = open_thread(organization, *people)
    say(thread, people[0])
    with CaptureQueriesContext(connection) as queries:
        say(thread, people[0])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%UPDATE messaging_thread%'"
        )
        assert cursor.fetchone() == (1,)
    statements = [query["sql"] for query in queries if query["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(statements) == 1


def test_other_apps_hear_of_a_message_in_its_transaction(organization: Organization, ada: User, ben: User):
    heard: list[MessageSent] = []
    events.subscribe(MessageSent)(heard.append)
    thread = open_thread(organization, ada, ben)
    message = say(thread, ada)
    mine = [event for event in heard if event.thread_id == thread.id]
    assert [(event.message_id, event.sender_id, event.seq) for event in mine] == [(message.id, ada.id, 1)]


def test_an_edit_keeps_what_was_said_before(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    message = say(thread, ada, "Helo")
    who = {"organization_id": organization.id, "message_id": message.id}
    edited = edit_message(**who, user_id=ada.id, content="Hello")
    assert (edited.content, edited.seq) == ("Hello", 1)
    assert edited.edited_at is not None
    assert edit_message(**who, user_id=ada.id, content="Hello").edited_at == edited.edited_at
    (change,) = message.events.all()
    assert (change.seq, change.data) == (2, {"previous_content": "Helo"})
    with pytest.raises(NotPermitted):
        edit_message(**who, user_id=ben.id, content="Mine now")


def test_a_deleted_message_is_not_edited_and_deleted_once(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    message = say(thread, ben)
    who = {"organization_id": organization.id, "message_id": message.id}
    deleted = delete_message(**who, user_id=ada.id)
    assert delete_message(**who, user_id=ben.id).deleted_at == deleted.deleted_at
    with pytest.raises(Conflict):
        edit_message(**who, user_id=ben.id, content="Again")
    thread.refresh_from_db()
    assert thread.seq == 2
    own = say(thread, ada)
    with pytest.raises(NotPermitted):
        delete_message(organization_id=organization.id, message_id=own.id, user_id=ben.id)


def test_in_a_direct_thread_nobody_deletes_what_the_other_wrote(
    organization: Organization, ada: User, ben: User
):
    thread = open_thread(organization, ada, ben, kind="direct")
    message = say(thread, ben)
    with pytest.raises(NotPermitted):
        delete_message(organization_id=organization.id, message_id=message.id, user_id=ada.id)
