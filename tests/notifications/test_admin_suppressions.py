"""The suppression list in the admin: files in and out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import Organization, User
from notifications.models import Delivery, Suppression
from notifications.services.suppressions import suppress_address

from .admin_pages import list_page, page_of, run, send, text_of


def upload(desk: Client, organization: Organization, content: bytes, **more: str) -> str:
    file = SimpleUploadedFile("list.csv", content, content_type="text/csv")
    address = reverse("admin:notifications_suppression_import_addresses")
    response = desk.post(address, {"organization": organization.pk, "file": file, **more})
    assert response.status_code == 200
    return response.content.decode()


def test_a_file_is_taken_and_its_wrong_rows_are_named(desk: Client, organization: Organization) -> None:
    address = reverse("admin:notifications_suppression_import_addresses")
    assert address in text_of(desk, list_page("suppression"))
    assert "All or nothing" in text_of(desk, address)

    shown = upload(
        desk, organization, b"email,reason\na@example.com,bounce\n<b>wrong</b>,\nb@example.com,dislike\n"
    )

    assert "1 added, 0 changed, 0 on the list already, 2 not taken." in shown
    assert '<th scope="row">3</th><td>address</td>' in shown
    assert '<th scope="row">4</th><td>reason</td>' in shown
    assert "This is neither an e-mail address nor a phone number." in shown
    assert "There is no reason &#x27;dislike&#x27;" in shown
    made = Suppression.objects.get()
    assert (made.organization, made.address, made.reason) == (organization, "a@example.com", "bounce")


def test_neither_a_file_nor_the_form_lets_an_entry_end(desk: Client, organization: Organization) -> None:
    suppress_address(organization=organization, channel="email", address="a@example.com", reason="complaint")
    ends = "2090-01-31T12:00:00Z"
    shown = upload(desk, organization, f"email,reason,expires_at\na@example.com,bounce,{ends}\n".encode())
    assert "0 added, 0 changed, 1 on the list already" in shown
    assert "1 keeps a stronger reason or a later end" in shown
    fields = {"organization": organization.pk, "channel": "email", "address": "a@example.com", "detail": "x"}
    address = reverse("admin:notifications_suppression_add")
    shown = desk.post(
        address, {**fields, "expires_at_0": "2090-01-31", "expires_at_1": "12:00:00"}, follow=True
    ).content.decode()
    assert "It was on the list with a later end" in shown
    assert Suppression.objects.get().expires_at is None


def test_all_or_nothing(desk: Client, organization: Organization) -> None:
    shown = upload(desk, organization, b"a@example.com\nwrong\n", all_or_nothing="on")
    assert "Nothing was taken: 1 row cannot be." in shown
    assert not Suppression.objects.exists()
    assert "2 added" in upload(desk, organization, b"a@example.com\nb@example.com\n", all_or_nothing="on")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The submitted file is empty."),
        (b"name\nAda\n", "The first line must name the columns"),
        (b"address\n\xff\n", "The file is not UTF-8"),
        (b"a@example.com\n" * 10_001, "At most 10000 rows at once"),
        (b"a@example.com\n" * 400_000, "At most 5 MiB."),
    ],
)
def test_what_cannot_be_taken_is_said_at_the_file(
    content: bytes, said: str, desk: Client, organization: Organization
) -> None:
    assert said in upload(desk, organization, content)
    assert not Suppression.objects.exists()


def test_only_into_one_s_own_organization(
    desk: Client, organization: Organization, other_organization: Organization, make_user: Callable[..., User]
) -> None:
    shown = upload(desk, other_organization, b"a@example.com\n")
    assert "Select a valid choice." in shown
    assert "Second" not in shown
    assert not Suppression.objects.exists()
    nobody = make_user(is_staff=True)
    stranger = Client()
    stranger.force_login(nobody, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse("admin:notifications_suppression_import_addresses")
    assert stranger.get(address).status_code in (302, 403)


def test_what_is_exported_can_be_taken_back(
    desk: Client, organization: Organization, other_organization: Organization
) -> None:
    rows = [
        suppress_address(
            organization=organization, channel="email", address="a@example.com", detail='=1+1, "x"\ny'
        ),
        suppress_address(
            organization=organization, channel="sms", address="+4915112345678", reason="unsubscribe"
        ),
        suppress_address(organization=other_organization, channel="email", address="foreign@example.com"),
    ]
    text = run(desk, "export_selected", *rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["channel", "address", "reason", "detail", "expires_at"],
        ["email", "a@example.com", "manual", '\'=1+1, "x"\ny', ""],
        ["sms", "+4915112345678", "unsubscribe", "", ""],
    ]
    Suppression.objects.filter(organization=organization).delete()
    assert "2 added, 0 changed" in upload(desk, organization, text.encode())
    found = Suppression.objects.filter(organization=organization).order_by("channel")
    assert [(one.address, one.reason) for one in found] == [
        ("a@example.com", "manual"),
        ("+4915112345678", "unsubscribe"),
    ]


def test_a_delivery_shows_its_segments(desk: Client, organization: Organization, member: User) -> None:
    send(organization, member, channels=["sms"])
    Delivery.objects.update(segments=3)
    assert "Segments" in text_of(desk, page_of(Delivery.objects.get(channel="sms")))
