"""The suppression list: the API, imports, and what keeps an entry from becoming weaker."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput
from notifications.models import Suppression
from notifications.services import suppression_import
from notifications.services.suppression_import import Row, import_suppressions, read_csv
from notifications.services.suppressions import lift_unsubscription, suppress_address

API = "/api/v1/suppressions"
IMPORT = f"{API}/import"


@pytest.fixture
def desk_api(api_client: Callable[..., APIClient], staff: User) -> APIClient:
    return api_client(staff)


def listed(organization: Organization) -> dict[str, tuple[str, str]]:
    return {
        one.address: (one.channel, one.reason)
        for one in Suppression.objects.filter(organization=organization)
    }


def problems(answer: Any, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.content
    return {one["attr"]: one["code"] for one in answer.json()["errors"]}


# --- The list over the API ----------------------------------------------------------------------------


def test_an_address_is_added_found_and_lifted(desk_api: APIClient, organization: Organization) -> None:
    made = desk_api.post(API, {"address": " Gone@Example.com", "reason": "complaint", "detail": "By letter."})
    assert made.status_code == 201
    row = made.json()
    assert row.pop("kept") == []
    assert (row["channel"], row["address"], row["reason"]) == ("email", "gone@example.com", "complaint")
    desk_api.post(API, {"address": "+49 1511 2345678", "channel": "sms"})

    def found(**query: str) -> list[str]:
        return [one["address"] for one in desk_api.get(API, query).json()["results"]]

    assert found() == ["+4915112345678", "gone@example.com"]
    assert found(channel="sms") == ["+4915112345678"]
    assert found(reason="complaint") == ["gone@example.com"]
    assert found(address="GONE@example.com") == ["gone@example.com"]
    assert found(address="+4915112345678") == ["+4915112345678"]
    assert found(address="other@example.com") == []
    assert desk_api.get(f"{API}/{row['id']}").json() == row
    assert desk_api.delete(f"{API}/{row['id']}").status_code == 204
    assert desk_api.get(f"{API}/{row['id']}").status_code == 404
    assert found() == ["+4915112345678"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"address": "required"}),
        ({"address": "nobody"}, {"address": "invalid"}),
        ({"address": "a@b.example\r\nBcc: c@d.example"}, {"address": "invalid"}),
        ({"address": "a@example.com", "channel": "sms"}, {"address": "invalid"}),
        ({"address": "a@example.com", "channel": "push"}, {"channel": "invalid_choice"}),
        ({"address": "a@example.com", "reason": "dislike"}, {"reason": "invalid_choice"}),
        ({"address": "a@example.com", "expires_at": "2001-01-01T00:00:00Z"}, {"expires_at": "invalid"}),
        ({"address": "a@example.com", "organization": "x"}, {"organization": "unknown_field"}),
    ],
)
def test_a_wrong_entry_is_named(
    body: dict[str, Any], expected: dict[str, str], desk_api: APIClient, organization: Organization
) -> None:
    assert problems(desk_api.post(API, body)) == expected
    assert listed(organization) == {}


@pytest.mark.parametrize("query", [{"channel": "fax"}, {"reason": "dislike"}, {"address": "12"}])
def test_a_wrong_filter_is_named(query: dict[str, str], desk_api: APIClient) -> None:
    (name,) = query
    assert problems(desk_api.get(API, query)) == {name: "invalid"}


def test_every_row_of_one_import_is_on_exactly_one_page(desk_api: APIClient) -> None:
    rows = [{"address": f"person{number}@example.com"} for number in range(205)]
    assert desk_api.post(IMPORT, {"rows": rows}).json()["added"] == 205
    seen, address = [], f"{API}?limit=50"
    while address:
        page = desk_api.get(address).json()
        seen += [one["address"] for one in page["results"]]
        address = page["next"]
    assert sorted(seen) == sorted(row["address"] for row in rows)


def test_who_may_do_what(
    api_client: Callable[..., APIClient],
    make_api_key: Callable[..., Any],
    organization: Organization,
    member: User,
) -> None:
    entry = suppress_address(organization=organization, channel="email", address="a@example.com")
    sender = api_client(make_api_key(organization, "notifications:send")[1])
    reader = api_client(make_api_key(organization, "notifications:read")[1])
    person = api_client(member)

    assert person.get(API).status_code == person.post(API, {"address": "x@example.com"}).status_code == 403
    assert person.delete(f"{API}/{entry.id}").status_code == 403
    assert reader.get(API).status_code == 200
    assert reader.post(API, {"address": "x@example.com"}).status_code == 403
    assert sender.post(API, {"address": "x@example.com"}).status_code == 201
    # Letting mail go to somebody who complained is for staff.
    assert sender.delete(f"{API}/{entry.id}").status_code == 403


def test_another_organization_s_list_is_its_own(
    desk_api: APIClient, other_organization: Organization, organization: Organization
) -> None:
    theirs = suppress_address(organization=other_organization, channel="email", address="a@example.com")
    assert desk_api.get(API, {"address": "a@example.com"}).json()["results"] == []
    assert desk_api.delete(f"{API}/{theirs.id}").status_code == 404
    desk_api.post(API, {"address": "a@example.com"})
    assert Suppression.objects.count() == 2


def test_the_same_key_adds_once(desk_api: APIClient) -> None:
    rows = {"rows": [{"address": "a@example.com"}]}
    first, second = (desk_api.post(IMPORT, rows, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"


# --- What an entry may become -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("unsubscribe", "bounce", "bounce"),
        ("unsubscribe", "complaint", "complaint"),
        ("complaint", "unsubscribe", "complaint"),
        ("bounce", "unsubscribe", "bounce"),
        ("manual", "unsubscribe", "manual"),
        ("complaint", "manual", "manual"),
    ],
)
def test_an_entry_never_becomes_weaker(
    first: str, second: str, kept: str, organization: Organization
) -> None:
    for reason in (first, second):
        made = suppress_address(
            organization=organization, channel="sms", address="+4915112345678", reason=reason
        )
    assert made.reason == kept
    lifted = lift_unsubscription(organization_id=organization.id, channel="sms", address="+49 1511 2345678")
    assert not lifted
    assert Suppression.objects.count() == 1


def test_an_entry_with_an_end_gives_way_to_one_without(organization: Organization) -> None:
    tomorrow = now() + dt.timedelta(days=1)
    given = {"organization": organization, "channel": "email", "address": "a@example.com"}
    suppress_address(**given, reason="manual", expires_at=tomorrow)
    made = suppress_address(**given, reason="unsubscribe")
    assert (made.reason, made.expires_at) == ("unsubscribe", None)
    assert lift_unsubscription(organization_id=organization.id, channel="email", address="A@example.com")
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("at_once", [False, True])
def test_of_two_entries_the_stronger_reason_and_the_later_end_stay(
    at_once: bool, organization: Organization
) -> None:
    tomorrow, later = (now() + dt.timedelta(days=days) for days in (1, 2))
    steps: list[tuple[str, dt.datetime | None, str, dt.datetime | None]] = [
        ("bounce", tomorrow, "bounce", tomorrow),
        ("unsubscribe", later, "bounce", later),
        ("bounce", tomorrow, "bounce", later),
        ("manual", tomorrow, "bounce", later),
        ("complaint", later, "complaint", later),
        ("bounce", None, "bounce", None),
        ("manual", tomorrow, "bounce", None),
        ("unsubscribe", None, "bounce", None),
    ]
    for number, (_, _, kept, kept_until) in enumerate(steps, start=1):
        rows = [
            Row(0, {"address": "a@example.com", "reason": reason, "detail": reason,
                    "expires_at": ends.isoformat() if ends else ""})
            for reason, ends, _, _ in (steps[:number] if at_once else steps[number - 1 : number])
        ]  # fmt: skip
        if at_once:
            Suppression.objects.all().delete()
        import_suppressions(organization=organization, rows=rows)
        made = Suppression.objects.get()
        assert (made.reason, made.detail, made.expires_at) == (kept, kept, kept_until), number


@pytest.mark.parametrize("reason", ["unsubscribe", "bounce", "complaint", "manual"])
def test_who_may_not_take_an_address_off_cannot_let_its_entry_end(
    reason: str,
    api_client: Callable[..., APIClient],
    make_api_key: Callable[..., Any],
    organization: Organization,
) -> None:
    sender = api_client(make_api_key(organization, "notifications:send")[1])
    suppress_address(organization=organization, channel="email", address="a@example.com", reason="complaint")
    row = Suppression.objects.get()
    assert sender.delete(f"{API}/{row.id}").status_code == 403
    soon = (now() + dt.timedelta(minutes=1)).isoformat()
    entry = {"address": "a@example.com", "reason": reason, "expires_at": soon}

    answer = sender.post(API, entry).json()
    kept = Suppression.objects.get()
    assert (kept.id, kept.expires_at) == (row.id, None)
    assert kept.reason == "complaint"
    stayed = ["expires_at"] if reason == "complaint" else ["reason", "expires_at"]
    assert (answer["reason"], answer["expires_at"], answer["kept"]) == ("complaint", None, stayed)

    report = sender.post(IMPORT, {"rows": [entry, {"address": "new@example.com"}]}).json()
    assert (report["added"], report["kept"], report["refused"]) == (1, 1, 0)
    assert Suppression.objects.get(id=row.id).expires_at is None


def test_an_end_is_put_off_but_not_brought_nearer(desk_api: APIClient) -> None:
    near, far = ((now() + dt.timedelta(days=days)) for days in (1, 2))
    first = desk_api.post(API, {"address": "a@example.com", "expires_at": near.isoformat()}).json()
    assert first["kept"] == []
    assert (
        desk_api.post(API, {"address": "a@example.com", "expires_at": far.isoformat()}).json()["kept"] == []
    )
    again = desk_api.post(API, {"address": "a@example.com", "expires_at": near.isoformat()}).json()
    assert (again["id"], again["kept"]) == (first["id"], ["expires_at"])
    assert Suppression.objects.get().expires_at == far


# --- Imports ------------------------------------------------------------------------------------------


def test_json_takes_the_right_rows_and_names_the_wrong_ones(
    desk_api: APIClient, organization: Organization
) -> None:
    suppress_address(organization=organization, channel="email", address="known@example.com")
    rows = [
        {
            "address": "New@example.com",
            "reason": "bounce",
            "detail": "550",
            "expires_at": "2100-01-01T00:00:00Z",
        },
        {"address": "known@example.com", "reason": "bounce"},
        {"address": "known"},
        {"address": "+4915112345678"},
        {"address": ""},
        {"address": 5},
        {"address": "x@example.com", "reason": "dislike"},
        {"address": "y@example.com", "expires_at": "tomorrow"},
        {"address": "z@example.com", "expires": "2100-01-01T00:00:00Z"},
        {"address": "new@example.com"},
        {"address": "n\u2028@example.com"},
    ]
    told = desk_api.post(IMPORT, {"rows": rows})
    assert told.status_code == 200
    report = told.json()
    assert {name: report[name] for name in ("added", "changed", "unchanged", "refused")} == {
        "added": 2,
        "changed": 0,
        "unchanged": 2,
        "refused": 7,
    }
    assert [(one["row"], one["attr"], one["code"]) for one in report["errors"]] == [
        (2, "address", "invalid"),
        (4, "address", "required"),
        (5, "address", "invalid"),
        (6, "reason", "invalid"),
        (7, "expires_at", "invalid"),
        (8, "expires", "unknown_field"),
        (10, "address", "invalid"),
    ]
    assert listed(organization) == {
        "known@example.com": ("email", "manual"),
        "new@example.com": ("email", "manual"),
        "+4915112345678": ("sms", "manual"),
    }


def test_all_or_nothing_writes_nothing_when_a_row_is_wrong(
    desk_api: APIClient, organization: Organization
) -> None:
    rows = [{"address": f"p{number}@example.com"} for number in range(1500)] + [{"address": "wrong"}]
    refused = desk_api.post(IMPORT, {"rows": rows, "all_or_nothing": True})
    assert problems(refused) == {"rows.1500.address": "invalid"}
    csv = "address\na@example.com\nwrong\n"
    refused = desk_api.generic("POST", f"{IMPORT}?all_or_nothing=true", csv, content_type="text/csv")
    assert problems(refused) == {"rows.3.address": "invalid"}
    assert listed(organization) == {}
    assert desk_api.post(IMPORT, {"rows": rows[:-1], "all_or_nothing": True}).json()["added"] == 1500


def test_csv_of_a_provider_is_taken_as_it_is(desk_api: APIClient, organization: Organization) -> None:
    csv = (
        "\ufeffEmail Address;Reason;created\r\n"
        "one@example.com;bounce;1700000000\r\n"
        "\r\n"
        '"two@example.com";;"a\r\nb"\r\n'
        "three;complaint;\r\n"
    )
    told = desk_api.generic("POST", IMPORT, csv.encode(), content_type="text/csv")
    assert told.status_code == 200, told.content
    report = told.json()
    assert (report["added"], [(one["row"], one["attr"]) for one in report["errors"]]) == (2, [(6, "address")])
    assert listed(organization) == {
        "one@example.com": ("email", "bounce"),
        "two@example.com": ("email", "manual"),
    }


@pytest.mark.parametrize(
    "content",
    [
        b"name,city\nAda,London\n",
        b"email,phone\na@example.com,+4915112345678\n",
        b"address\n\xff\xfe\n",
        b'address\n"open\n',
        b"a@example.com,manual\n",
    ],
)
def test_what_is_no_such_file_is_refused_whole(
    content: bytes, desk_api: APIClient, organization: Organization
) -> None:
    refused = desk_api.generic("POST", IMPORT, content, content_type="text/csv")
    assert problems(refused) == {"file": "invalid"}
    assert listed(organization) == {}


def test_bodies_that_are_too_large_or_of_no_kind(desk_api: APIClient, organization: Organization) -> None:
    too_many = "address\n" + "".join(f"{number}@example.com\n" for number in range(10_001))
    assert problems(desk_api.generic("POST", IMPORT, too_many, content_type="text/csv")) == {
        "rows": "too_many"
    }
    huge = "address\n" + "x" * 1_100_000
    assert desk_api.generic("POST", IMPORT, huge, content_type="text/csv").status_code == 413
    assert desk_api.generic("POST", IMPORT, "<a/>", content_type="text/xml").status_code == 415
    assert problems(desk_api.post(IMPORT, {"rows": []})) == {"rows": "empty"}
    assert problems(desk_api.post(IMPORT, {"rows": ["a@example.com"]})) == {"rows.0": "not_a_dict"}
    answer = desk_api.generic(
        "POST", f"{IMPORT}?all_or_nothing=maybe", "a@b.example\n", content_type="text/csv"
    )
    assert problems(answer) == {"all_or_nothing": "invalid"}
    assert listed(organization) == {}


@pytest.mark.parametrize("content", [b"", b"address\n", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_changes_nothing(content: bytes, organization: Organization) -> None:
    report = import_suppressions(organization=organization, rows=read_csv(io.BytesIO(content)))
    assert (report.added, report.refused) == (0, 0)


def test_addresses_alone_need_no_heading(organization: Organization) -> None:
    rows = read_csv(io.BytesIO(b"a@example.com\n+49 1511 2345678\n"))
    assert import_suppressions(organization=organization, rows=rows).added == 2


def test_a_file_that_breaks_off_keeps_what_came_before(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression_import, "BATCH", 2)
    rows = read_csv(io.BytesIO(b"address\na@example.com\nb@example.com\n\xff\n"))
    report = import_suppressions(organization=organization, rows=rows)
    assert (report.added, [(one.line, one.attr) for one in report.errors]) == (2, [(4, "file")])
    again = read_csv(io.BytesIO(b"address\nc@example.com\nd@example.com\n\xff\n"))
    report = import_suppressions(organization=organization, rows=again, all_or_nothing=True)
    assert (report.added, report.refused, Suppression.objects.count()) == (0, 1, 2)


def test_only_the_first_errors_are_told_one_by_one(organization: Organization) -> None:
    rows = (Row(number, {"address": "wrong"}) for number in range(150))
    report = import_suppressions(organization=organization, rows=rows)
    assert (report.refused, len(report.errors)) == (150, 100)


def test_the_command_takes_files_of_any_size(
    tmp_path: Path, organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("email,reason\n" + "".join(f"p{number}@example.com,bounce\n" for number in range(12_000)))
    call_command("import_suppressions", str(file), organization=organization.slug)
    assert capsys.readouterr().out == "12000 added, 0 changed, 0 unchanged, 0 not taken\n"
    assert Suppression.objects.filter(organization=organization, reason="bounce").count() == 12_000

    file.write_text("email\nq@example.com\nwrong\n")
    with pytest.raises(CommandError, match=r"Nothing was written\."):
        call_command("import_suppressions", str(file), organization=organization.slug, all_or_nothing=True)
    assert "line 3: address: " in capsys.readouterr().err
    assert Suppression.objects.count() == 12_000
    with pytest.raises(CommandError, match=r"Not every row was taken\."):
        call_command("import_suppressions", str(file), organization=organization.slug)
    assert Suppression.objects.count() == 12_001


def test_the_command_names_what_is_not_there(tmp_path: Path, organization: Organization) -> None:
    with pytest.raises(CommandError, match="There is no organization 'nowhere'"):
        call_command("import_suppressions", str(tmp_path / "x"), organization="nowhere")
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_suppressions", str(tmp_path / "x"), organization=organization.slug)


def test_a_reason_that_does_not_exist_is_refused(organization: Organization) -> None:
    with pytest.raises(InvalidInput) as refused:
        suppress_address(organization=organization, channel="email", address="a@example.com", reason="no")
    assert refused.value.attr == "reason"


@pytest.mark.parametrize("first", [None, dt.timedelta(days=30)])
def test_an_end_is_never_brought_nearer(organization: Organization, first: dt.timedelta | None) -> None:
    """Who may add but not delete must not be able to lift an entry by letting it lapse."""
    end = now() + first if first else None
    put = {"organization": organization, "channel": "email", "address": "a@example.com"}
    suppress_address(**put, reason="complaint", expires_at=end)  # type: ignore[arg-type]
    kept = suppress_address(**put, reason="manual", expires_at=now() + dt.timedelta(seconds=2))  # type: ignore[arg-type]
    assert (kept.reason, kept.expires_at) == ("complaint", end)
    longer = suppress_address(**put, reason="manual")  # type: ignore[arg-type]
    assert (longer.reason, longer.expires_at) == ("manual", None)


def test_an_entry_that_has_ended_is_replaced(organization: Organization) -> None:
    put = {"organization": organization, "channel": "email", "address": "a@example.com"}
    row = suppress_address(**put, reason="manual", expires_at=now() + dt.timedelta(days=1))  # type: ignore[arg-type]
    row.expires_at = now() - dt.timedelta(days=1)
    row.save()
    end = now() + dt.timedelta(days=2)
    again = suppress_address(**put, reason="bounce", expires_at=end)  # type: ignore[arg-type]
    assert (again.reason, again.expires_at) == ("bounce", end)
