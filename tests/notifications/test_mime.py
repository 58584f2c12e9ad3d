"""What ``build`` writes is what the standard library reads."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage as ReadMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.providers.base import EmailMessage, File
from notifications.providers.email.mime import HeaderInjection, build, dot_stuffed
from notifications.providers.email.smtp import SmtpProvider
from notifications.services.provider_accounts import environment_accounts

from .smtp_server import SmtpServer

ID = "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"


def message(**fields: Any) -> EmailMessage:
    given: dict[str, Any] = {
        "delivery_id": ID,
        "sender": "from@example.com",
        "sender_name": "Sender",
        "to": "to@example.com",
        "subject": "Subject",
        "text": "Text",
        "html": "",
        "message_id": f"{ID}@example.com",
    }
    return EmailMessage(**{**given, **fields})


def read(content: bytes) -> ReadMessage:
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, ReadMessage)
    assert not parsed.defects
    return parsed


def body(parsed: ReadMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    assert part is not None
    assert not part.defects
    text: str = part.get_content()
    return text


def as_sent(text: str) -> str:
    """Line ends are not kept apart, and how many blank ones come last means nothing."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _is_text(text: str) -> bool:
    return "\x00" not in text


lines = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        st.sampled_from([".", "..", ".x", "From me", "--", "=", "=20", "a ", "\t", "é" * 600, "x" * 1200]),
    ),
    max_size=8,
)  # fmt: skip
texts = lines.map("\n".join).filter(_is_text)
one_line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300).map(
    lambda text: " ".join(text.split())
)
# Of a size that fits one encoded word: between two, this reader leaves a blank in names (not in subjects).
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=10).map(
    lambda text: " ".join(text.split())
)


@given(subject=one_line, text=texts, html=texts, name=names)
def test_it_is_read_back_as_it_was(subject: str, text: str, html: str, name: str) -> None:
    content = build(message(subject=subject, text=text, html=html, sender_name=name))
    parsed = read(content)
    assert parsed["Subject"] == subject
    assert parsed["To"].addresses[0].addr_spec == "to@example.com"
    assert parsed["From"].addresses[0].addr_spec == "from@example.com"
    assert parsed["From"].addresses[0].display_name == name
    if text or not html:
        assert as_sent(body(parsed, "plain")) == as_sent(text)
    if html:
        assert as_sent(body(parsed, "html")) == as_sent(html)


@given(subject=one_line, text=texts, html=texts)
def test_its_lines_are_those_of_smtp(subject: str, text: str, html: str) -> None:
    content = build(message(subject=subject, text=text, html=html))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\x00" not in content
    assert content.isascii()


@given(text=texts)
def test_dots_are_stuffed_and_the_last_one_ends_it(text: str) -> None:
    content = build(message(text=text))
    stuffed = dot_stuffed(content)
    assert stuffed.endswith(b"\r\n.\r\n")
    inside = stuffed[: -len(b".\r\n")]
    assert b"\r\n.\r\n" not in inside
    assert re.sub(rb"(?m)^\.", b"", inside) == content


FIELDS = ["subject", "to", "sender", "sender_name", "message_id", "delivery_id", "reply_to"]
BREAKS = ["\r\n", "\n", "\r", "\x00"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("bad", BREAKS)
def test_no_value_makes_a_second_header(field: str, bad: str) -> None:
    with pytest.raises(HeaderInjection, match=f"^{field} may not"):
        build(message(**{field: f"a{bad}Bcc: someone@example.com"}))


@pytest.mark.parametrize("bad", BREAKS)
@pytest.mark.parametrize("field", ["sender", "sender_name"])
def test_nor_does_the_accounts_own_sender(field: str, bad: str) -> None:
    own = {"sender": "own@example.com", "sender_name": "Own", field: f"a{bad}Bcc: someone@example.com"}
    with pytest.raises(HeaderInjection, match=f"^{field} may not"):
        build(message(), **own)


@pytest.mark.parametrize("bad", BREAKS)
def test_nor_does_a_further_header(bad: str) -> None:
    with pytest.raises(HeaderInjection, match=r"^headers.1 may not"):
        build(message(headers=(("X-A", "b"), ("X-B", f"a{bad}Bcc: someone@example.com"))))
    with pytest.raises(HeaderInjection, match=r"^headers.0 may not"):
        build(message(headers=((f"X-A: b{bad}Bcc", "someone@example.com"),)))


@pytest.mark.parametrize("bad", BREAKS)
def test_nor_does_a_file(bad: str) -> None:
    for fields in ({"filename": f"a{bad}b: c"}, {"content_type": f"text/plain{bad}X-B: c"}):
        given = File(**{"filename": "a.txt", "content_type": "text/plain", "content": b"x", **fields})
        with pytest.raises(HeaderInjection, match=f"^attachments.0.{next(iter(fields))} may not"):
            build(message(attachments=(given,)))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Bcc",
            "bCC",
            "From",
            "To",
            "Sender",
            "Content-Type",
            "content-transfer-encoding",
            "Message-ID",
            "Date",
        ),
        *(
            "X-CastComm-Delivery",
            "X-SMTPAPI",
            "X-PM-Message-Stream",
            "X-SES-CONFIGURATION-SET",
            "Return-Path",
        ),
        *("", "a b", "a:b", "é", "x" * 77, "X-A "),
    ],
)
def test_a_further_header_cannot_take_over_the_mail(name: str) -> None:
    with pytest.raises(HeaderInjection, match=r"^headers.0 may not have this name"):
        build(message(headers=((name, "x@example.com"),)))


@pytest.mark.parametrize(
    "value",
    [
        "<https://example.com/u/abc>",
        f"<https://example.com/u/{'a' * 200}>, <mailto:unsubscribe@example.com?subject={'b' * 90}>",
        "one  two   three " + "word " * 40 + "end",
        "not encoded =?utf-8?q?a?=",
        "",
    ],
)
def test_further_headers_stay_readable_for_machines(value: str) -> None:
    content = build(message(headers=(("List-Unsubscribe", value),)))
    head = content.split(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 998
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", head)
    assert b"List-Unsubscribe: " + value.encode() in unfolded.split(b"\r\n")


def test_a_further_header_beyond_ascii_is_encoded() -> None:
    assert read(build(message(headers=(("X-Note", "schön"),))))["X-Note"] == "schön"


def test_a_further_header_with_a_word_that_no_line_holds() -> None:
    with pytest.raises(HeaderInjection, match="longer than a line"):
        build(message(headers=(("List-Unsubscribe", f"<https://example.com/{'a' * 1000}>"),)))


@pytest.mark.parametrize(
    ("given", "name", "address"),
    [
        ("help@example.com", "", "help@example.com"),
        ("Help, Desk <help@example.com>", "", ""),
        ('"Help, Desk" <help@example.com>', "Help, Desk", "help@example.com"),
        ("Büro <help@example.com>", "Büro", "help@example.com"),
    ],
)
def test_replies_go_elsewhere(given: str, name: str, address: str) -> None:
    if not address:
        with pytest.raises(HeaderInjection, match=r"^reply_to is no address"):
            build(message(reply_to=given))
        return
    (found,) = read(build(message(reply_to=given)))["Reply-To"].addresses
    assert (found.display_name, found.addr_spec) == (name, address)


file_names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=180
).map(lambda text: " ".join(text.split()) or "x")


@given(filename=file_names, content=st.binary(max_size=3000), html=texts)
def test_files_are_read_back_as_they_were(filename: str, content: bytes, html: str) -> None:
    given = (
        File(filename=filename, content_type="application/pdf", content=content),
        File(filename="b.csv", content_type="text/csv", content=b"a,b\n"),
    )
    built = build(message(text="plain", html=html, attachments=given))
    assert max(map(len, built.split(b"\r\n"))) <= 998
    assert built.isascii()
    parsed = read(built)
    assert parsed.get_content_type() == "multipart/mixed"
    first, second = parsed.iter_attachments()
    assert isinstance(first, ReadMessage)
    assert first.get_content_disposition() == "attachment"
    assert first.get_filename() == filename
    assert first.get_payload(decode=True) == content
    assert (second.get_content_type(), second.get_payload(decode=True)) == ("text/csv", b"a,b\n")
    assert second.get_content_charset() == "utf-8"
    assert as_sent(body(parsed, "plain")) == "plain"
    if html:
        assert as_sent(body(parsed, "html")) == as_sent(html)


def test_lines_of_a_file_are_folded() -> None:
    given = File(filename="a.pdf", content_type="application/pdf", content=bytes(range(256)) * 400)
    built = build(message(attachments=(given,)))
    assert max(map(len, built.split(b"\r\n"))) <= 78
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", built)


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed"])
def test_a_file_never_becomes_part_of_the_mails_structure(kind: str) -> None:
    inner = b"Content-Type: text/html\r\n\r\n<b>"
    given = File(filename="a", content_type=kind, content=inner)
    (part,) = read(build(message(attachments=(given,)))).iter_attachments()
    assert (part.get_content_type(), part.get_payload(decode=True)) == ("application/octet-stream", inner)


@pytest.mark.parametrize("kind", ["", "text", "text/", "text/plain; charset=x", 'a/b"', "a b/c", "a/b/c"])
def test_a_type_that_is_none(kind: str) -> None:
    with pytest.raises(HeaderInjection, match=r"^attachments.0.content_type is no media type"):
        build(message(attachments=(File(filename="a", content_type=kind, content=b""),)))


def test_a_subject_that_looks_encoded_stays_what_it_is() -> None:
    assert read(build(message(subject="=?utf-8?q?not=20me?=")))["Subject"] == "=?utf-8?q?not=20me?="


def test_a_word_longer_than_a_line_may_be() -> None:
    assert read(build(message(subject="x" * 990)))["Subject"] == "x" * 990


def test_both_parts_are_alternatives_with_the_better_one_last() -> None:
    parsed = read(build(message(text="plain", html="<p>rich</p>")))
    assert parsed.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]


def test_the_headers_that_tell_where_it_is_from() -> None:
    parsed = read(build(message()))
    assert parsed["Message-ID"] == f"<{ID}@example.com>"
    assert parsed["X-CastComm-Delivery"] == ID
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["Date"].datetime is not None


@pytest.mark.parametrize("pipelining", [True, False])
def test_over_a_real_server_every_line_arrives(mail: SmtpServer, pipelining: bool, settings: Any) -> None:
    mail.pipelining = pipelining
    texts = [".", "..\n.", ".a\n..b\n...c", "a\n.\nb", "\n.\n.\n", "é.\n.é", "x" * 2000 + "\n.", ""]
    provider = SmtpProvider(environment_accounts("email")[0])
    for text in texts:
        assert provider.deliver(message(text=text)).outcome == "sent"
    provider.close()
    assert [as_sent(body(one.message, "plain")) for one in mail.arrived] == [as_sent(text) for text in texts]
    assert mail.connections == 1
