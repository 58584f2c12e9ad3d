from __future__ import annotations

import pytest

from accounts.models import Membership, Organization, User
from castcomm.common.errors import Conflict, InvalidInput, NotFound, NotPermitted
from messaging.models import Participant, Thread
from messaging.selectors import get_thread, listed_threads
from messaging.services.demo import ACTOR, DIRECTOR, LINES, load
from messaging.services.participants import (
    add_participants,
    change_role,
    remove_participant,
    set_archived,
    set_muted,
)
from messaging.services.threads import create_thread, update_thread
from tests.messaging.conftest import make_member, make_organization, open_thread, say


def ids(thread: Thread, user: User) -> dict[str, object]:
    return {"organization_id": thread.organization_id, "thread_id": thread.id, "user_id": user.id}


def test_two_people_have_one_direct_thread_per_organization(organization: Organization, ada: User, ben: User):
    first = open_thread(organization, ada, ben, kind="direct")
    again, created = create_thread(
        organization_id=organization.id, creator_id=ben.id, kind="direct", participants=[ada.email.upper()]
    )
    assert (again, created) == (first, False)
    elsewhere = make_organization()
    for user in (ada, ben):
        Membership.objects.create(organization=elsewhere, user=user)
    assert open_thread(elsewhere, ada, ben, kind="direct") != first


@pytest.mark.parametrize(
    ("kind", "others", "attr"),
    [
        ("direct", 0, "participants"),
        ("direct", 2, "participants"),
        ("group", 0, "participants"),
        ("club", 1, "kind"),
    ],
)
def test_a_thread_has_the_right_number_of_people(
    organization: Organization, ada: User, ben: User, cleo: User, kind: str, others: int, attr: str
):
    with pytest.raises(InvalidInput) as refused:
        open_thread(organization, ada, *[ben, cleo][:others], kind=kind)
    assert refused.value.attr == attr
    assert not Thread.objects.exists()


def test_people_who_are_unknown_foreign_or_inactive_are_named_in_the_error(
    organization: Organization, ada: User, ben: User, cleo: User
):
    foreign = make_member(make_organization(), "zoe")
    Membership.objects.filter(user=cleo).update(is_active=False)
    for wrong in (foreign.id, foreign.email, cleo.id, "nobody@example.com", "x", 5, None, ["a"]):
        with pytest.raises(InvalidInput) as refused:
            create_thread(
                organization_id=organization.id, creator_id=ada.id, kind="group", participants=[ben.id, wrong]
            )
        assert refused.value.attr == "participants.1"
    with pytest.raises(InvalidInput) as refused:
        create_thread(organization_id=organization.id, creator_id=ada.id, kind="group", participants="abc")
    assert refused.value.attr == "participants"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "x" * 201),
        ("subject", "two\nlines"),
        ("subject", "\x00"),
        ("subject", 4),
        ("metadata", []),
        ("metadata", {"a": "\x00"}),
        ("metadata", {"a\ud800": 1}),
        ("metadata", {"a": float("nan")}),
        ("metadata", {"a": "x" * 9000}),
        ("metadata", {"a": [[[[[[[[[[1]]]]]]]]]]}),
    ],
)
def test_subject_and_metadata_are_checked(
    organization: Organization, ada: User, ben: User, field: str, value: object
):
    with pytest.raises(InvalidInput) as refused:
        open_thread(organization, ada, ben, **{field: value})
    assert refused.value.attr == field


def test_people_come_and_go(organization: Organization, ada: User, ben: User, cleo: User):
    thread = open_thread(organization, ada, ben)
    say(thread, ada)
    added = add_participants(**ids(thread, ada), participants=[ben.id, cleo.id])
    assert [(person.user, person.seen_count, person.last_read_seq) for person in added] == [(cleo, 1, 1)]
    with pytest.raises(NotPermitted):
        add_participants(**ids(thread, ben), participants=[cleo.id])
    with pytest.raises(NotPermitted):
        remove_participant(**ids(thread, ben), participant_user_id=cleo.id)
    remove_participant(**ids(thread, ada), participant_user_id=cleo.id)
    with pytest.raises(NotFound):
        say(thread, cleo)
    with pytest.raises(NotFound):
        get_thread(cleo.id, organization.id, thread.id)
    say(thread, ada)
    (back,) = add_participants(**ids(thread, ada), participants=[cleo.id])
    assert Participant.objects.filter(thread=thread, user=cleo).count() == 1
    assert back.seen_count == 2


def test_the_last_owner_who_leaves_has_an_heir(organization: Organization, ada: User, ben: User, cleo: User):
    thread = open_thread(organization, ada, ben, cleo)
    with pytest.raises(Conflict):
        change_role(**ids(thread, ada), participant_user_id=ada.id, role="member")
    with pytest.raises(NotPermitted):
        change_role(**ids(thread, ben), participant_user_id=ben.id, role="owner")
    with pytest.raises(InvalidInput):
        change_role(**ids(thread, ada), participant_user_id=ben.id, role="king")
    remove_participant(**ids(thread, ada), participant_user_id=ada.id)
    assert Participant.objects.get(thread=thread, left_at=None, role="owner").user in {ben, cleo}


def test_an_owner_is_not_put_out_by_a_moderator(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    change_role(**ids(thread, ada), participant_user_id=ben.id, role="moderator")
    with pytest.raises(Conflict):
        remove_participant(**ids(thread, ben), participant_user_id=ada.id)


def test_the_people_of_a_direct_thread_are_fixed(
    organization: Organization, ada: User, ben: User, cleo: User
):
    thread = open_thread(organization, ada, ben, kind="direct")
    with pytest.raises(Conflict):
        add_participants(**ids(thread, ada), participants=[cleo.id])
    with pytest.raises(Conflict):
        remove_participant(**ids(thread, ada), participant_user_id=ada.id)
    assert update_thread(**ids(thread, ben), subject="Casting").subject == "Casting"


def test_only_those_who_run_a_group_rename_it(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    with pytest.raises(NotPermitted):
        update_thread(**ids(thread, ben), subject="Mine")
    assert update_thread(**ids(thread, ada), metadata={"scene": 2}).metadata == {"scene": 2}
    update_thread(**ids(thread, ada), metadata={"scene": 2})
    assert Thread.objects.get(id=thread.id).seq == 1


def listed(user: User, organization: Organization, *, archived: bool = False) -> list[Thread]:
    return list(listed_threads(user.id, organization.id, archived=archived))


def test_an_archived_thread_comes_back_with_the_next_message(
    organization: Organization, ada: User, ben: User
):
    thread = open_thread(organization, ada, ben)
    say(thread, ben)
    set_archived(**ids(thread, ada), archived=True)
    assert (listed(ada, organization), listed(ada, organization, archived=True)) == ([], [thread])
    assert listed(ben, organization) == [thread]
    say(thread, ben)
    assert (listed(ada, organization), listed(ada, organization, archived=True)) == ([thread], [])


def test_an_archived_and_muted_thread_stays_away(organization: Organization, ada: User, ben: User):
    thread = open_thread(organization, ada, ben)
    set_archived(**ids(thread, ada), archived=True)
    set_muted(**ids(thread, ada), muted=True)
    say(thread, ben)
    assert listed(ada, organization) == []
    set_archived(**ids(thread, ada), archived=False)
    assert listed(ada, organization) == [thread]


def test_the_demo_conversation_is_loaded_once(organization: Organization):
    for address in (ACTOR, DIRECTOR):
        user = User.objects.create_user(address)
        Membership.objects.create(organization=organization, user=user)
    thread = load(organization)
    assert load(organization) == thread
    thread.refresh_from_db()
    assert thread.msg_seq == len(LINES)
