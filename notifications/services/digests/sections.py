"""The part of a digest that lists what there is: a section per category, made here and not by the template.

The first of a section are shown in full, the rest one line each, so that a mail about ten thousand notifications is one
that can still be sent and opened. There are no words of our own in it: those stand in the template, in its language.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from django.conf import settings
from django.utils import dateformat, translation

from notifications.rendering.fragments import Fragment
from notifications.rendering.sandbox import safe_url

IN_FULL = 50  # of each section
MAX_BODY = 300  # characters
MAX_LINE = 120  # characters of a title that has one line
MAX_LINKED = 300_000  # characters of HTML; beyond, single lines have no link

_HEADING = (
    '<div style="padding:24px 0 8px;font-size:18px;line-height:26px;font-weight:700;color:#111827">{name} '
    '<span style="font-weight:400;color:#6b7280">{count}</span></div>\n'
)
_ENTRY = (
    '<div style="padding:12px 0;border-top:1px solid #e5e7eb;font-size:15px;line-height:22px;overflow-wrap:anywhere">'
    '<div style="font-weight:600;color:#111827">{title}</div>{body}'
    '<div style="font-size:13px;line-height:20px;color:#6b7280">{at}</div></div>\n'
)
_BODY = '<div style="color:#374151">{body}</div>'
_LINE = (
    '<div style="padding:6px 0;border-top:1px solid #f3f4f6;font-size:14px;line-height:20px;color:#374151;'
    'overflow-wrap:anywhere">{title}</div>\n'
)
_LINK = '<a href="{url}" style="color:#1d4ed8;text-decoration:none">{title}</a>'


class Entry(NamedTuple):
    """One notification; ``at`` is when it came (aware)."""

    title: str
    body: str
    action_url: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Section:
    """What belongs to one category, in the order in which it came."""

    name: str
    entries: list[Entry] = field(default_factory=list)


def fragment_of(sections: Sequence[Section], *, zone: dt.tzinfo, locale: str) -> Fragment:
    """The list as HTML and as text; times are those of the zone, with the names of the language."""
    html: list[str] = []
    text: list[str] = []
    size = 0
    with translation.override(locale):
        for section in sections:
            html.append(_HEADING.format(name=escape(section.name), count=len(section.entries)))
            text.append(f"{section.name} ({len(section.entries)})\n\n")
            for position, entry in enumerate(section.entries):
                in_full = position < IN_FULL
                made = _in_full(entry, zone) if in_full else _one_line(entry, with_link=size < MAX_LINKED)
                html.append(made.html)
                text.append(made.text)
                size += len(made.html)
            text.append("\n")
    return Fragment("".join(html), re.sub(r"\n{3,}", "\n\n", "".join(text)).strip())


def _in_full(entry: Entry, zone: dt.tzinfo) -> Fragment:
    at = dateformat.format(entry.at.astimezone(zone), "D j M, H:i")
    body = shortened(entry.body, MAX_BODY)
    url = address(entry.action_url)
    lines = [f"* {entry.title}", *(f"  {line}" for line in (body, url, at) if line)]
    return Fragment(
        _ENTRY.format(
            title=_linked(entry.title, url),
            body=_BODY.format(body=escape(body)) if body else "",
            at=escape(at),
        ),
        "\n".join(lines) + "\n\n",
    )


def _one_line(entry: Entry, *, with_link: bool) -> Fragment:
    title = shortened(entry.title, MAX_LINE)
    url = address(entry.action_url) if with_link else ""
    return Fragment(_LINE.format(title=_linked(title, url)), f"* {title}\n")


def _linked(title: str, url: str) -> str:
    return _LINK.format(url=escape(url), title=escape(title)) if url else escape(title)


def address(action_url: str) -> str:
    """The whole address of a link that a notification has: mails know no paths. "" for none."""
    url = safe_url(action_url) if action_url else ""
    if url.startswith("/"):
        return f"{settings.PUBLIC_URL}{url}"
    return url if url.startswith(("http://", "https://", "mailto:")) else ""


def shortened(text: str, most: int) -> str:
    """``text`` in one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
