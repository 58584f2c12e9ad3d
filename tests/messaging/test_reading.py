from __future__ import annotations

import random

import pytest

from accounts.models import Organization, User
from castcomm.common.errors import NotFound
from messaging.models import Message, Participant, Thread
from messaging.selectors import get_thread
from messaging.services.participants import add_participants
from messaging.services.reading import ReadMark, mark_read
from tests.messaging.conftest import make_organization, open_thread, say


def read(thread: Thread, user: User, seq: int) -> ReadMark:
    return mark_read(organization_id=thread.organization_id, thread_id=thread.id, user_id=user.id, seq=seq)


def unread(thread: Thread, user: User) -> int:
    own = Participant.objects.select_related("thread").get(thread=thread, user=user)
    return own.thread.msg_seq - own.seen_count


def unread_by_counting(thread: Thread, user: User) -> int:
    mark = Participant.objects.get(thread=thread, user=user).last_read_seq
    return Message.objects.filter(thread=thread, seq__gt=mark).exclude(sender=user).count()


def test_what_others_said_is_unread_until_it_is_read(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    for sender in (ben, ben, ada, ben):
        say(thread, sender)
    assert (unread(thread, ada), unread(thread, ben)) == (3, 1)
    mark = read(thread, ada, 1)
    assert (mark.last_read_seq, mark.unread_count, mark.moved) == (1, 2, True)
    assert read(thread, ada, 4).unread_count == 0


def test_sending_reads_nothing_that_was_not_seen(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    say(thread, ben)
    say(thread, ada)
    assert unread(thread, ada) == 1


def test_a_mark_never_goes_back_nor_beyond_what_was_said(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    for _ in range(3):
        say(thread, ben)
    assert read(thread, ada, 10_000).last_read_seq == 3
    back = read(thread, ada, 1)
    assert (back.last_read_seq, back.unread_count, back.moved) == (3, 0, False)
    assert not read(thread, ada, 2**63 - 1).moved


def test_a_mark_falls_on_the_last_message_at_or_before_it(
    organization: Organization, ada: User, ben: User, cleo: User
):
    thread = open_thread(organization, ada, ben)
    say(thread, ben)
    add_participants(
        organization_id=organization.id, thread_id=thread.id, user_id=ada.id, participants=[cleo.id]
    )
    say(thread, ben)
    assert read(thread, ada, 2).last_read_seq == 1
    assert unread(thread, ada) == 1


def test_reading_needs_a_place_in_the_thread(organization: Organization, ada: User, ben: User, cleo: User):
    thread = open_thread(organization, ada, ben)
    with pytest.raises(NotFound):
        read(thread, cleo, 1)
    with pytest.raises(NotFound):
        mark_read(organization_id=make_organization().id, thread_id=thread.id, user_id=ada.id, seq=1)


@pytest.mark.parametrize("seed", range(5))
def test_the_arithmetic_agrees_with_counting(
    organization: Organization, ada: User, ben: User, cleo: User, seed: int
):
    chance = random.Random(seed)
    people = [ada, ben, cleo]
    thread = open_thread(organization, *people)
    for step in range(60):
        person = chance.choice(people)
        if chance.random() < 0.5:
            say(thread, person, f"Line {step}")
        else:
            read(thread, person, chance.randint(0, step + 2))
        for each in people:
            assert unread(thread, each) == unread_by_counting(thread, each)
    shown = get_thread(ada.id, organization.id, thread.id)
    assert {person.user for person in shown.present} == set(people)
