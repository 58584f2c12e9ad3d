"""Mail addresses as providers read them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any


def addresses_in(value: Any) -> list[str]:
    """The bare addresses in "Name <a@b>, c@d", or in a list of such."""
    if not value:
        return []
    given = [value] if isinstance(value, str) else [str(one) for one in value]
    return [address for _, address in getaddresses(given) if address]


def is_address(text: str) -> bool:
    """Roughly what a provider's first look accepts."""
    local, at, domain = text.rpartition("@")
    return bool(at and local and "." in domain and " " not in text)


def plain_mail(
    *,
    sender: str,
    to: Iterable[str],
    subject: str,
    text: str,
    html: str,
    headers: Iterable[tuple[str, str]],
    attachments: Iterable[tuple[str, str, str]] = (),
) -> EmailMessage:
    """The mail that a provider would build from an API call's fields.

    ``attachments`` are names, content types and contents in base64.
    """
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = subject
    for name, value in headers:
        if name.lower() not in {"from", "to", "subject", "mime-version", "content-type"} and name not in mail:
            mail[name] = value
    mail.set_content(text or "")
    if html:
        mail.add_alternative(html, subtype="html")
    for name, content_type, content in attachments:
        main, _, sub = content_type.partition(";")[0].partition("/")
        mail.add_attachment(base64.b64decode(content), maintype=main, subtype=sub or "plain", filename=name)
    return mail
