"""What only a mail has: a reply address, files, links to unsubscribe with, and what tracks it."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from typing import Any

import pytest

from accounts.models import Organization
from castcomm.common.errors import InvalidInput
from notifications.models import Attachment, NotificationRequest
from notifications.services import fanout

from .smtp_server import SmtpServer

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def arrived(mail: SmtpServer, position: int = 0) -> EmailMessage:
    return mail.arrived[position].message


def a_file(**fields: Any) -> dict[str, Any]:
    given = {"filename": "bill.pdf", "content_type": "application/pdf", "content": PDF}
    return {**given, **fields}


def test_files_and_the_reply_address_reach_every_recipient(
    send: Any, make_event_type: Any, drain: Any, mail: SmtpServer
) -> None:
    make_event_type("bill", channels=["email"])
    send(
        {"email": "one@example.com"},
        {"email": "two@example.com"},
        event_type="bill",
        reply_to="Desk@Example.com",
        attachments=[
            a_file(),
            a_file(filename="Überweisung.txt", content_type="text/plain", content=b"42\n"),
        ],
    )
    drain("email")
    for position in (0, 1):
        parsed = arrived(mail, position)
        assert parsed["Reply-To"] == "desk@example.com"
        files = [(part.get_filename(), part.get_payload(decode=True)) for part in parsed.iter_attachments()]
        assert files == [("bill.pdf", PDF), ("Überweisung.txt", b"42\n")]
    assert Attachment.objects.count() == 2, "kept once for the request"


def test_a_large_audience_gets_the_files_as_well(
    send: Any, make_event_type: Any, drain: Any, mail: SmtpServer
) -> None:
    make_event_type("bill", channels=["email"])
    people = [{"email": f"p{number}@example.com"} for number in range(501)]
    send(*people, event_type="bill", attachments=[a_file()])
    fanout.run()
    drain("email")
    assert len(mail.arrived) == 501
    assert all(list(arrived(mail, position).iter_attachments()) for position in (0, 250, 500))


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"attachments": [a_file(), a_file(filename="a.exe", content=b"MZ\x90")]}, "attachments.1"),
        ({"attachments": [{"filename": "x.txt"}]}, "attachments.0.content"),
        ({"attachments": "x"}, "attachments"),
        ({"reply_to": "nobody"}, "reply_to"),
        ({"reply_to": "a@example.com\r\nBcc: b@example.com"}, "reply_to"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    send: Any, make_event_type: Any, fields: dict[str, Any], attr: str
) -> None:
    make_event_type("bill", channels=["email"])
    with pytest.raises(InvalidInput) as caught:
        send({"email": "one@example.com"}, event_type="bill", **fields)
    assert str(caught.value.attr).startswith(attr)
    assert not NotificationRequest.objects.exists()
    assert not Attachment.objects.exists()


def test_over_the_api_files_are_base64(
    api_client: Any, make_api_key: Any, organization: Organization, make_event_type: Any, drain: Any,
    mail: SmtpServer,
) -> None:  # fmt: skip
    make_event_type("bill", channels=["email"])
    client = api_client(make_api_key(organization, "notifications:send")[1])
    body = {
        "event_type": "bill",
        "recipients": [{"email": "one@example.com"}],
        "reply_to": "desk@example.com",
        "attachments": [{"filename": "bill.pdf", "content": base64.b64encode(PDF).decode()}],
    }
    assert client.post("/api/v1/notifications", body, format="json").status_code == 202
    drain("email")
    assert [part.get_payload(decode=True) for part in arrived(mail).iter_attachments()] == [PDF]
    body["attachments"] = [{"filename": "bill.pdf", "content": "not base64!"}]
    refused = client.post("/api/v1/notifications", body, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["attr"] == "attachments.0.content"


def test_a_mail_can_be_unsubscribed_from_unless_it_is_critical(
    send: Any, make_event_type: Any, drain: Any, mail: SmtpServer
) -> None:
    make_event_type("news", channels=["email"])
    make_event_type("alarm", channels=["email"], is_critical=True)
    send({"email": "one@example.com"}, event_type="news")
    send({"email": "one@example.com"}, event_type="alarm")
    drain("email")
    ordinary, critical = sorted(
        (arrived(mail, 0), arrived(mail, 1)), key=lambda one: "List-Unsubscribe" not in one
    )
    assert ordinary["List-Unsubscribe"].startswith("<http")
    assert ordinary["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "List-Unsubscribe" not in critical
    assert "List-Unsubscribe-Post" not in critical


@pytest.mark.parametrize("allowed", [True, False])
def test_tracking_follows_the_organization_and_the_person(
    send: Any, make_event_type: Any, make_user: Any, drain: Any, mail: SmtpServer,
    organization: Organization, allowed: bool,
) -> None:  # fmt: skip
    make_event_type("news", channels=["email"])
    send(
        make_user(organization=organization, allow_tracking=allowed),
        event_type="news",
        content={"subject": "S", "html": '<body><a href="https://example.com/x">x</a></body>'},
    )
    drain("email")
    body = arrived(mail).get_body(("html",))
    assert body is not None
    html = body.get_content()
    assert ("/t/c/" in html, "/t/o/" in html) == (allowed, allowed)
    assert ("https://example.com/x" in html) is not allowed
