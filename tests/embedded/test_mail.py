"""The mail catcher over real SMTP and HTTP."""

from __future__ import annotations

import http.client
import json
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from castcomm.embedded import ports
from castcomm.embedded.mail_store import MailStore
from tests.embedded.conftest import REPOSITORY


class Catcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.smtp = ports.free_port()
        self.http = ports.free_port(avoid={self.smtp})
        command = [
            "mail",
            "--smtp-port",
            str(self.smtp),
            "--http-port",
            str(self.http),
            "--folder",
            str(folder),
        ]
        self.process = subprocess.Popen([sys.executable, "-m", "castcomm.embedded", *command], cwd=REPOSITORY)

    def send(self, message: EmailMessage, *more_recipients: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=5) as client:
            client.send_message(message, to_addrs=[str(message["To"]), *more_recipients])

    def request(self, method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def json(self, path: str) -> Any:
        response, body = self.request("GET", path)
        assert response.status == 200, body
        return json.loads(body)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


@pytest.fixture
def catcher(tmp_path: Path, eventually: Callable[[Callable[[], object]], None]) -> Iterator[Catcher]:
    running = Catcher(tmp_path / "mail")
    eventually(lambda: ports.answers(running.smtp) and ports.answers(running.http))
    yield running
    running.stop()


def mail(subject: str = "Grüße", to: str = "ada@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "CastComm <hello@example.com>"
    message["To"] = to
    message["Subject"] = subject
    message.set_content("Plain words.\n")
    message.add_alternative(
        '<p>Rich <b>words</b> <img src="cid:logo"></p><script>x()</script>', subtype="html"
    )
    message.get_payload()[1].add_related(b"\x89PNG....", "image", "png", cid="<logo>")  # type: ignore[index, union-attr, call-arg]
    message.add_attachment(b"a,b\n", maintype="text", subtype="csv", filename="list.csv")
    return message


def test_a_mail_is_listed_and_read_in_every_form(catcher: Catcher) -> None:
    catcher.send(mail(), "blind@example.com")
    listed = catcher.json("/api/messages")
    assert listed["total"] == 1
    (summary,) = listed["messages"]
    assert summary["subject"] == "Grüße"
    assert summary["recipients"] == ["ada@example.com", "blind@example.com"]
    detail = catcher.json(f"/api/messages/{summary['id']}")
    assert detail["text"] == "Plain words.\n"
    assert "<b>words</b>" in detail["html"]
    assert [part["name"] for part in detail["parts"]] == ["part-0", "list.csv"]
    for view, expected in (
        ("text", "Plain words."),
        ("headers", "MIME-Version"),
        ("raw", "Content-Type: multipart"),
    ):
        _, body = catcher.request("GET", f"/messages/{summary['id']}?view={view}")
        assert expected in body.decode()


def test_the_html_of_a_mail_runs_no_script_and_shows_its_own_images(catcher: Catcher) -> None:
    catcher.send(mail())
    number = catcher.json("/api/messages")["messages"][0]["id"]
    _, page = catcher.request("GET", f"/messages/{number}")
    frame = page.decode().partition("<iframe ")[2].partition(">")[0]
    assert "sandbox=" in frame
    assert "allow-scripts" not in frame
    assert "allow-same-origin" not in frame
    response, html = catcher.request("GET", f"/messages/{number}/html")
    policy = response.getheader("content-security-policy", "")
    assert policy.startswith("sandbox ")
    assert "default-src 'none'" in policy
    assert f'src="/messages/{number}/parts/0"' in html.decode()
    image, content = catcher.request("GET", f"/messages/{number}/parts/0")
    assert (image.getheader("content-type"), content) == ("image/png", b"\x89PNG....")
    table, _ = catcher.request("GET", f"/messages/{number}/parts/1")
    assert table.getheader("content-type") == "application/octet-stream"
    assert table.getheader("content-disposition", "").startswith("attachment")


def test_markup_in_a_subject_stays_text(catcher: Catcher) -> None:
    catcher.send(mail(subject="<img src=x onerror=alert(1)>"))
    _, page = catcher.request("GET", "/")
    assert "<img" not in page.decode()
    assert "&lt;img" in page.decode()


def test_mails_are_found_by_recipient_and_deleted_on_request(catcher: Catcher) -> None:
    catcher.send(mail(to="ada@example.com"))
    catcher.send(mail(to="grace@example.com"))
    found = catcher.json("/api/messages?to=GRACE@example.com")
    assert [message["to"] for message in found["messages"]] == ["grace@example.com"]
    response, body = catcher.request("DELETE", "/api/messages")
    assert (response.status, json.loads(body)) == (200, {"deleted": 2})
    assert catcher.json("/api/messages") == {"total": 0, "messages": []}
    assert list(catcher.folder.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["/messages/99", "/api/messages/99", "/messages/x", "/nowhere", "/messages/1/parts/9", "/../etc/passwd"],
)
def test_what_is_not_there_is_404(catcher: Catcher, path: str) -> None:
    catcher.send(mail())
    response, body = catcher.request("GET", path)
    assert response.status == 404
    assert "detail" in json.loads(body)


def test_another_host_name_is_refused(catcher: Catcher) -> None:
    response, _ = catcher.request("GET", "/api/messages", Host="evil.example.com")
    assert response.status == 403


def test_a_broken_mail_is_shown_as_far_as_it_goes(catcher: Catcher) -> None:
    raw = b"Subject: =?x-none?Q?caf=E9?=\r\nContent-Type: text/plain; charset=x-none\r\n\r\n\xff\xfe broken"
    with smtplib.SMTP("127.0.0.1", catcher.smtp, timeout=5) as client:
        client.sendmail("hello@example.com", ["ada@example.com"], raw)
    number = catcher.json("/api/messages")["messages"][0]["id"]
    assert "broken" in catcher.json(f"/api/messages/{number}")["text"]
    response, _ = catcher.request("GET", f"/messages/{number}")
    assert response.status == 200


def test_mails_are_kept_over_a_restart(
    catcher: Catcher, eventually: Callable[[Callable[[], object]], None]
) -> None:
    catcher.send(mail(subject="Kept"))
    catcher.stop()
    again = Catcher(catcher.folder)
    try:
        eventually(lambda: ports.answers(again.smtp) and ports.answers(again.http))
        assert again.json("/api/messages")["messages"][0]["subject"] == "Kept"
    finally:
        again.stop()


def test_a_taken_port_is_said(catcher: Catcher, tmp_path: Path) -> None:
    command = [
        "mail",
        "--smtp-port",
        str(catcher.smtp),
        "--http-port",
        "0",
        "--folder",
        str(tmp_path / "other"),
    ]
    refused = subprocess.run(
        [sys.executable, "-m", "castcomm.embedded", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert refused.returncode == 1
    assert f"port {catcher.smtp} is taken" in refused.stderr


def test_the_store_is_bounded_in_number_and_bytes(tmp_path: Path) -> None:
    store = MailStore(tmp_path, max_messages=3, max_bytes=1000)
    for index in range(5):
        store.add(b"Subject: %d\r\n\r\nshort" % index, sender="a@example.com", recipients=["b@example.com"])
    assert [summary.subject for summary in store.newest(limit=10)] == ["4", "3", "2"]
    store.add(b"Subject: large\r\n\r\n" + b"x" * 990, sender="a@example.com", recipients=["b@example.com"])
    assert [summary.subject for summary in store.newest(limit=10)] == ["large"]
    assert len(list(tmp_path.glob("*.eml"))) == 1
