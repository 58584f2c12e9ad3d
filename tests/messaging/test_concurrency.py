"""Many at once, each with a database connection of their own."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from castcomm.common.errors import Conflict, NotFound
from messaging.models import Message, Participant, Thread, ThreadEvent
from messaging.selectors import changes_since, get_place
from messaging.services.editing import edit_message
from messaging.services.participants import add_participants, remove_participant
from messaging.services.reading import mark_read
from messaging.services.sending import send_message
from messaging.services.threads import create_thread
from tests.messaging.conftest import make_member, make_organization, open_thread, say
from tests.messaging.replica import fresh

pytestmark = pytest.mark.django_db(transaction=True)


def together(acts: list[Callable[[], Any]]) -> list[Any]:
    """Run all at once; the results, or the errors, in order."""

    def run(act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(acts)) as pool:
        return list(pool.map(run, acts))


def group_of(size: int) -> tuple[Thread, list[User]]:
    organization = make_organization()
    people = [make_member(organization, f"p{number}") for number in range(size)]
    return open_thread(organization, *people), people


def assert_gapless(thread: Thread) -> None:
    thread.refresh_from_db()
    messages = Message.objects.filter(thread=thread).order_by("seq")
    assert [message.msg_seq for message in messages] == list(range(1, thread.msg_seq + 1))
    numbers = [message.seq for message in messages]
    numbers += ThreadEvent.objects.filter(thread=thread).values_list("seq", flat=True)
    assert sorted(numbers) == list(range(1, thread.seq + 1))


def test_twenty_senders_in_one_thread_leave_no_gap_and_no_double():
    thread, people = group_of(20)

    def talk(person: User) -> None:
        for number in range(10):
            say(thread, person, f"Line {number}", client_id=f"{number}")

    assert together([lambda person=person: talk(person) for person in people]) == [None] * 20
    assert_gapless(thread)
    assert thread.msg_seq == 200
    assert list(Participant.objects.filter(thread=thread).values_list("seen_count", flat=True)) == [10] * 20
    newest = Message.objects.filter(thread=thread).order_by("-seq").first()
    assert newest is not None
    assert thread.last_message_id == newest.id


def test_parallel_retries_store_one_message():
    thread, people = group_of(2)

    def send(content: str) -> Any:
        return send_message(
            organization_id=thread.organization_id,
            thread_id=thread.id,
            sender_id=people[0].id,
            content=content,
            client_id="retry",
        )

    same = together([lambda: send("Once")] * 12)
    assert sorted(sent.duplicate for sent in same) == [False] + [True] * 11
    assert len({sent.message.id for sent in same}) == 1
    assert all(isinstance(error, Conflict) for error in together([lambda: send("Other")] * 4))
    assert_gapless(thread)
    assert thread.msg_seq == 1


def test_a_direct_thread_opened_by_both_at_once_is_one():
    organization = make_organization()
    ada, ben = make_member(organization, "ada"), make_member(organization, "ben")

    def open_it(creator: User, other: User) -> Thread:
        return create_thread(
            organization_id=organization.id, creator_id=creator.id, kind="direct", participants=[other.id]
        )[0]

    threads = together([lambda: open_it(ada, ben), lambda: open_it(ben, ada)] * 6)
    assert len(set(threads)) == 1
    assert Participant.objects.count() == 2


def test_everything_at_once_keeps_order_counts_and_replay():
    thread, people = group_of(8)
    first = say(thread, people[0])
    where = {"organization_id": thread.organization_id, "thread_id": thread.id}

    def act(person: User, seed: int) -> None:
        chance = random.Random(seed)
        for step in range(15):
            kind = chance.choice(["say", "say", "reply", "read", "edit", "guest"])
            if kind == "say":
                say(thread, person, f"{seed} {step}")
            elif kind == "reply":
                say(thread, person, f"{seed} {step}", reply_to_id=first.id)
            elif kind == "read":
                mark_read(**where, user_id=person.id, seq=chance.randint(0, 80))
            elif kind == "edit":
                edit_message(
                    organization_id=thread.organization_id,
                    message_id=first.id,
                    user_id=people[0].id,
                    content=f"{seed} {step}",
                )
            else:
                come_and_go(step % 2 == 0)

    def come_and_go(come: bool) -> None:
        guest = people[-1]
        try:
            if come:
                add_participants(**where, user_id=people[0].id, participants=[guest.id])
            else:
                remove_participant(**where, user_id=people[0].id, participant_user_id=guest.id)
        except NotFound:
            return

    actors = people[:-1]
    results = together(
        [lambda person=person, seed=seed: act(person, seed) for seed, person in enumerate(actors)]
    )
    assert results == [None] * len(actors)
    assert_gapless(thread)
    for person in actors:
        own = Participant.objects.get(thread=thread, user=person)
        unseen = Message.objects.filter(thread=thread, seq__gt=own.last_read_seq).exclude(sender=person)
        assert thread.msg_seq - own.seen_count == unseen.count()
    place = get_place(people[0].id, thread.organization_id, thread.id)
    numbers = [frame.get("seq") for frame in changes_since(place, 0).frames if "seq" in frame]
    assert numbers == list(range(1, fresh(thread).seq + 1))


def test_nothing_is_written_by_someone_who_was_put_out_meanwhile():
    thread, people = group_of(3)
    where = {"organization_id": thread.organization_id, "thread_id": thread.id}

    def talk() -> int:
        sent = 0
        for number in range(60):
            try:
                say(thread, people[1], f"{number}")
            except NotFound:
                break
            sent += 1
        return sent

    def put_out() -> None:
        while not Message.objects.filter(thread=thread).exists():
            pass
        remove_participant(**where, user_id=people[0].id, participant_user_id=people[1].id)

    talked, put = together([talk, put_out])
    assert isinstance(talked, int)
    assert put is None
    assert_gapless(thread)
    (removal,) = ThreadEvent.objects.filter(thread=thread)
    assert not Message.objects.filter(thread=thread, seq__gt=removal.seq).exists()
