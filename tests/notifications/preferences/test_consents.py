"""What people agreed to is put on record with its proof, and nothing can be changed or taken out unnoticed."""

from __future__ import annotations

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings

from accounts.models import Organization, User
from castcomm.common.ids import new_id
from notifications.models import ConsentRecord, EventType, Preference
from notifications.services.consent_proofs import CHANGED, CONTRADICTED, UNPROVEN, verify
from notifications.services.consents import Decided, Origin, RequestFacts, record, record_all
from notifications.services.mail_links import links_for
from notifications.services.preferences import Change, set_switches


def mail_on(enabled: bool | None, scope: str = "category", key: str = "general") -> Change:
    return Change(scope, key, "email", enabled)


def said(user: User | None = None) -> list[tuple[str, str, str, bool | None, str]]:
    rows = ConsentRecord.objects.filter(user=user).order_by("id")
    return [(row.scope, row.key, row.channel, row.granted, row.source) for row in rows]


def test_each_change_is_on_record_once_with_what_the_person_saw(
    news: EventType, organization: Organization, member: User
) -> None:
    origin = Origin(source="signed_in", facts=RequestFacts("192.0.2.7", "A browser", "de"))
    for changes in ([mail_on(True)], [mail_on(True)], [mail_on(None), Change("global", "", "", False)]):
        set_switches(organization=organization, user=member, changes=changes, origin=origin)
    set_switches(organization=organization, user=None, changes=[mail_on(False)])  # nobody's consent
    assert said(member) == [
        ("category", "general", "email", True, "signed_in"),
        ("category", "general", "email", None, "signed_in"),
        ("global", "", "", False, "signed_in"),
    ]
    first = ConsentRecord.objects.order_by("id")[0]
    assert first.wording == "General. E-mail: on."
    assert (first.ip_address, first.user_agent, first.locale) == ("192.0.2.7", "A browser", "de")
    with connection.cursor() as cursor:
        cursor.execute("SELECT ip_address FROM notifications_consentrecord WHERE id = %s", [first.id])
        assert "192.0.2.7" not in cursor.fetchone()[0]


def test_who_leaves_by_a_mail_is_on_record(
    news: EventType, organization: Organization, member: User, client: Client
) -> None:
    mail = new_id()
    ids = {"organization_id": organization.id, "delivery_id": mail, "category_id": news.category_id}
    mine, bare = (
        links_for(**ids, user_id=user_id, email="ann@example.com", is_critical=False).unsubscribe_url
        for user_id in (member.id, None)
    )
    client.post(mine, {"List-Unsubscribe": "One-Click"}, headers={"User-Agent": "A mail program"})
    client.post(mine, {"action": "undo"})
    client.post(bare, {"action": "all"})
    client.get(mine)
    assert said(member) == [
        ("category", "general", "email", False, "one_click"),
        ("category", "general", "email", None, "signed_link"),
    ]
    first = ConsentRecord.objects.filter(user=member).order_by("id")[0]
    assert (first.delivery_id, first.user_agent) == (mail, "A mail program")
    assert said(None) == [("global", "", "email", False, "signed_link")]
    assert ConsentRecord.objects.get(user=None).wording == "Stop all mail of First"
    assert verify(organization.id) == []


def checked(organization: Organization) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("verify_consents", organization=organization.slug, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_changed_or_missing_record_is_found(
    news: EventType, organization: Organization, member: User, owner: User
) -> None:
    for user in (member, owner):
        for enabled in (True, False, True):
            set_switches(organization=organization, user=user, changes=[mail_on(enabled)])
    rows = list(ConsentRecord.objects.filter(user=member).order_by("id"))
    assert checked(organization) == (0, "first: 6 records, 0 broken\n")
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[]):
        assert len(verify(organization.id)) == 6

    one = ConsentRecord.objects.filter(id=rows[1].id)
    lies: list[dict[str, Any]] = [
        {"granted": True}, {"wording": "x"}, {"source": "staff"}, {"ip_address": "192.0.2.1"}, {"key": "other"},
        {"created_at": rows[0].created_at}, {"delivery_id": new_id()}, {"channel": ""}, {"user_agent": "x"},
    ]  # fmt: skip
    for lie in lies:
        truth = {name: getattr(rows[1], name) for name in lie}
        one.update(**lie)
        assert [(broken.record_id, broken.problem) for broken in verify(organization.id)] == [
            (rows[1].id, CHANGED)
        ], lie
        one.update(**truth)
    assert verify(organization.id) == []

    # One in the middle is missed by the one after it, the last by the switch that it was about.
    one.delete()
    assert [broken.record_id for broken in verify(organization.id)] == [rows[2].id]
    ConsentRecord.objects.bulk_create([rows[1]])
    ConsentRecord.objects.filter(id=rows[2].id).delete()
    [broken] = verify(organization.id)
    assert (broken.who, broken.record_id, broken.problem) == (str(member.id), rows[1].id, CONTRADICTED)
    status, told = checked(organization)
    assert status == 1
    assert str(member.id) in told
    ConsentRecord.objects.filter(user=member).delete()
    Preference.objects.filter(user=member).first().save()  # type: ignore[union-attr]
    assert [broken.problem for broken in verify(organization.id)] == [UNPROVEN]


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_chain(organization: Organization, member: User) -> None:
    start = threading.Barrier(3)

    def run(number: int) -> None:
        start.wait(20)
        for n in range(4):
            record(
                organization_id=organization.id, user_id=member.id, scope="topic", key=f"{number}.{n}", channel="",
                granted=True, source="api", wording="",
            )  # fmt: skip
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ConsentRecord.objects.count() == 12
    assert verify(organization.id) == []


def test_a_clock_that_goes_back_forks_no_chain(
    organization: Organization, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = new_id()
    once = [Decided(scope="topic", key="a", channel="", granted=True, wording="x" * 5_000)]
    record_all(organization_id=organization.id, user_id=member.id, decided=once, origin=Origin())
    monkeypatch.setattr("notifications.services.consents.new_id", lambda: early)
    [second] = record_all(organization_id=organization.id, user_id=member.id, decided=once, origin=Origin())
    assert second.id > early
    assert len(second.wording) == 2_000
    assert verify(organization.id) == []
