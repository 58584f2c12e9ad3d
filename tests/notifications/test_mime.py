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

from notifications.providers.base import EmailMessage
from notifications.providers.email.mime import HeaderInjection, build, dot_stuffed
from notifications.providers.email.smtp import SmtpProvider
from notifications.services.provider_accounts import environment_accounts

from .smtp_server import SmtpServer

ID = "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"


def message(**fields: str) -> EmailMessage:
    given = {
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


@pytest.mark.parametrize("field", ["subject", "to", "sender", "sender_name", "message_id", "delivery_id"])
@pytest.mark.parametrize("bad", ["\r\n", "\n", "\r", "\x00"])
def test_no_value_makes_a_second_header(field: str, bad: str) -> None:
    with pytest.raises(HeaderInjection):
        build(message(**{field: f"a{bad}Bcc: someone@example.com"}))


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
