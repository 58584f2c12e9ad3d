"""Old copy plus the frames since then is the thread as it is."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization, User
from castcomm.common.errors import CastCommError
from messaging.models import Message, Thread
from messaging.realtime.thread_topic import may_listen, replay_thread
from messaging.selectors import changes_since, get_place, thread_heads
from messaging.services.editing import delete_message, edit_message
from messaging.services.participants import add_participants, change_role, remove_participant
from messaging.services.reading import mark_read
from messaging.services.threads import update_thread
from tests.messaging.conftest import make_organization, open_thread, say
from tests.messaging.replica import Replica, fresh

ACTS = st.tuples(
    st.sampled_from(
        ["say", "say", "say", "edit", "delete", "read", "rename", "add", "remove", "role", "copy"]
    ),
    st.integers(0, 2),
    st.integers(0, 30),
)


def perform(thread: Thread, people: list[User], act: str, who: int, number: int) -> None:
    place = {"organization_id": thread.organization_id, "thread_id": thread.id}
    person = people[who]
    if act == "say":
        say(thread, person, f"Line {number}")
    elif act in {"edit", "delete"}:
        message = Message.objects.filter(thread=thread, seq__lte=number).order_by("-seq").first()
        if message is not None:
            one = {"organization_id": thread.organization_id, "message_id": message.id, "user_id": person.id}
            if act == "edit":
                edit_message(**one, content=f"Edit {number}")
            else:
                delete_message(**one)
    elif act == "read":
        mark_read(**place, user_id=person.id, seq=number)
    elif act == "rename":
        update_thread(**place, user_id=person.id, subject=f"Subject {number}", metadata={"n": number})
    elif act == "add":
        add_participants(**place, user_id=people[0].id, participants=[person.id])
    elif act == "remove":
        remove_participant(**place, user_id=people[0].id, participant_user_id=people[1 + number % 2].id)
    elif act == "role":
        role = ["member", "moderator", "read_only"][number % 3]
        change_role(**place, user_id=people[0].id, participant_user_id=people[1 + who % 2].id, role=role)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=1, max_size=40))
def test_frames_applied_to_any_old_copy_give_the_thread_as_it_is(
    organization: Organization, ada: User, ben: User, cleo: User, acts: list[tuple[str, int, int]]
):
    people = [ada, ben, cleo]
    thread = open_thread(organization, *people)
    copies = [fresh(thread)]
    for act, who, number in acts:
        if act == "copy":
            copies.append(fresh(thread))
            continue
        try:
            perform(thread, people, act, who, number)
        except CastCommError:
            continue
    wanted = fresh(thread).state()
    for replica in copies:
        place = get_place(ada.id, organization.id, thread.id)
        changes = changes_since(place, replica.seq)
        assert not changes.more
        for frame in changes.frames:
            replica.apply(frame)
        assert replica.state() == wanted


def test_pages_of_changes_join_without_gap(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    replica = fresh(thread)
    for number in range(23):
        say(thread, ben, f"Line {number}")
    place = get_place(ada.id, organization.id, thread.id)
    more = True
    while more:
        page = changes_since(place, replica.seq, limit=5)
        for frame in page.frames:
            replica.apply(frame)
        more = page.more
    assert replica.state() == fresh(thread).state()


def test_a_deleted_message_is_never_told_again(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    message = say(thread, ben, "A secret")
    one = {"organization_id": organization.id, "message_id": message.id, "user_id": ben.id}
    edit_message(**one, content="A secret, edited")
    delete_message(**one)
    replay = replay_thread(ada.id, organization.id, str(thread.id), 0)
    assert len(replay.events) == 3 + 2
    assert "secret" not in str(replay.events)


def test_whoever_is_too_far_behind_must_page(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    for number in range(301):
        say(thread, ben, f"Line {number}")

    def replay(since_seq: int | None) -> Any:
        return replay_thread(ada.id, organization.id, str(thread.id), since_seq)

    assert (replay(0).recovered, len(replay(0).events), replay(0).head) == (False, 0, 301)
    assert replay(1).recovered
    assert [frame["seq"] for frame in replay(1).events if "seq" in frame] == list(range(2, 302))
    assert not replay(302).recovered
    assert (replay(None).recovered, replay(None).events, replay(None).head) == (True, [], 301)


def test_a_room_tells_nobody_how_far_the_others_have_read(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben, kind="room")
    say(thread, ben)
    mark_read(organization_id=organization.id, thread_id=thread.id, user_id=ada.id, seq=1)
    marks = [
        frame["data"]["user"]
        for frame in replay_thread(ben.id, organization.id, str(thread.id), 0).events
        if frame["event"] == "message:read"
    ]
    assert marks == [str(ben.id)]


def test_only_participants_listen_and_only_under_the_proper_name(
    organization: Organization, ada: User, ben: User, cleo: User
):
    thread = open_thread(organization, ada, ben)
    key = str(thread.id)
    assert may_listen(ada.id, organization.id, key)
    assert not may_listen(cleo.id, organization.id, key)
    assert not may_listen(ada.id, make_organization().id, key)
    for odd in (key.upper(), key.replace("-", ""), "x", str(uuid.uuid4())):
        assert not may_listen(ada.id, organization.id, odd)
    remove_participant(
        organization_id=organization.id, thread_id=thread.id, user_id=ben.id, participant_user_id=ben.id
    )
    assert not may_listen(ben.id, organization.id, key)
    assert thread_heads(ada.id, organization.id) == {key: 1}
    assert thread_heads(ben.id, organization.id) == {}


@pytest.mark.parametrize("size", [1, 30])
def test_replay_takes_as_many_queries_for_much_as_for_little(
    organization: Organization, ada: User, ben: User, size: int, django_assert_num_queries: Any
):
    thread = open_thread(organization, ada, ben)
    for number in range(size):
        say(thread, ben, f"Line {number}")
    with django_assert_num_queries(4):
        replay_thread(ada.id, organization.id, str(thread.id), 0)


def test_an_empty_replica_lacks_only_what_was_there_at_the_opening(
    organization: Organization, ada: User, ben: User
):
    thread = open_thread(organization, ada, ben)
    say(thread, ben)
    replica = Replica()
    for frame in changes_since(get_place(ada.id, organization.id, thread.id), 0).frames:
        replica.apply(frame)
    assert replica.messages == fresh(thread).messages
