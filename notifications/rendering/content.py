"""What a channel says, rendered from a published content (or from text given with the call)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from notifications.rendering.fragments import filled
from notifications.rendering.mjml import text_from_html
from notifications.rendering.sandbox import RenderingError, render, safe_url
from notifications.rendering.spans import jinja_spans
from notifications.vocabulary import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFacts:
    """A published content in one language: the sources that ``render_*`` fill in. Empty means not there."""

    version_id: str = ""
    locale: str = "en"
    subject: str = ""
    mjml: str = ""
    html: str = ""
    text: str = ""
    sms: str = ""
    push_title: str = ""
    push_body: str = ""
    in_app_title: str = ""
    in_app_body: str = ""
    action_url: str = ""
    in_app_actions: tuple[Mapping[str, str], ...] = ()

    def channels(self) -> frozenset[str]:
        """The channels for which there is something to say."""
        there = set()
        if self.in_app_title or self.in_app_body:
            there.add(Channel.IN_APP.value)
        if self.subject and (self.html or self.text):
            there.add(Channel.EMAIL.value)
        if self.sms:
            there.add(Channel.SMS.value)
        if self.push_title:
            there.add(Channel.PUSH.value)
        return frozenset(there)


@dataclass(frozen=True, slots=True)
class InAppText:
    title: str
    body: str
    action_url: str
    actions: list[dict[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class EmailText:
    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class PushText:
    title: str
    body: str
    action_url: str


CONTENT_FIELDS = ("subject", "title", "body", "html", "text", "sms", "action_url")
MAX_URL = 2_000  # characters
MAX_LABEL = 60  # characters of a button
_JINJA_MARK = re.compile(r"\{\{|\{%|\{#")


def literal_content(given: Mapping[str, Any]) -> ContentFacts:
    """Text given with a call, as a content in which nothing is filled in.

    ``title`` and ``body`` serve every channel; ``subject``, ``html``, ``text`` and ``sms`` are more specific;
    ``actions`` are the buttons of the inbox row.
    """
    title, body = given.get("title", ""), given.get("body", "")
    text = given.get("text", "") or body
    made: dict[str, Any] = {
        "subject": given.get("subject", "") or title,
        "html": given.get("html", ""),
        "text": text,
        "sms": given.get("sms", "") or (f"{title}: {body}" if title and body else body or title),
        "push_title": title,
        "push_body": body,
        "in_app_title": title or given.get("subject", ""),
        "in_app_body": body or text,
        "action_url": safe_url(given["action_url"]) if given.get("action_url") else "",
        "in_app_actions": tuple(given.get("actions") or ()),
    }
    return ContentFacts(version_id="literal", **made)


def _fill(source: str, context: Mapping[str, Any], literal: bool, *, html: bool) -> str:
    if literal or not _JINJA_MARK.search(source):
        return source
    return render(source, context, html=html)


def render_in_app(content: ContentFacts, context: Mapping[str, Any]) -> InAppText:
    """The inbox row's text; raises RenderingError."""
    literal = content.version_id == "literal"
    return InAppText(
        _one_line(_named("in_app_title", content, context, literal))[:500],
        _named("in_app_body", content, context, literal),
        _url(content, context, literal),
        [_action(one, context, literal) for one in content.in_app_actions] or None,
    )


def _action(given: Mapping[str, str], context: Mapping[str, Any], literal: bool) -> dict[str, str]:
    url = _fill(given.get("url", ""), context, literal, html=False)
    return {
        "key": given["key"],
        "label": _one_line(_fill(given["label"], context, literal, html=False))[:MAX_LABEL],
        "url": safe_url(url) if url else "",
        "style": given.get("style", "secondary"),
    }


def render_email(content: ContentFacts, context: Mapping[str, Any]) -> EmailText:
    """Subject, HTML and text of a mail; raises RenderingError."""
    literal = content.version_id == "literal"
    subject = _one_line(_named("subject", content, context, literal))
    html = _html(content, context, literal)
    text = _named("text", content, context, literal)
    if not text and html:
        text = _derived_text(html)
    text = filled(re.sub(r"\n{3,}", "\n\n", text), context, html=False)
    return EmailText(subject[:998], filled(html, context, html=True), text)


@functools.lru_cache(maxsize=64)
def _derived_text(html: str) -> str:
    return text_from_html(html)


def render_sms(content: ContentFacts, context: Mapping[str, Any]) -> str:
    """The text of an SMS; raises RenderingError."""
    return _named("sms", content, context, content.version_id == "literal").strip()


def render_push(content: ContentFacts, context: Mapping[str, Any]) -> PushText:
    """What a push shows; raises RenderingError."""
    literal = content.version_id == "literal"
    return PushText(
        _one_line(_named("push_title", content, context, literal)),
        _named("push_body", content, context, literal),
        _url(content, context, literal),
    )


def _named(name: str, content: ContentFacts, context: Mapping[str, Any], literal: bool) -> str:
    """The field ``name`` filled in; an error says which field it was."""
    try:
        return _fill(getattr(content, name), context, literal, html=False)
    except RenderingError as error:
        raise RenderingError(f"{name}: {error}", line=error.line, variable=error.variable) from error


def _html(content: ContentFacts, context: Mapping[str, Any], literal: bool) -> str:
    try:
        return _fill(content.html, context, literal, html=True)
    except RenderingError as error:
        line = _source_line(content.mjml, error) or error.line
        message = re.sub(r"^Line \S+:", f"Line {line}:", str(error))
        raise RenderingError(f"mjml: {message}", line=line, variable=error.variable) from error


def _source_line(mjml: str, error: RenderingError) -> int | None:
    """The line of the MJML source that uses the variable; lines of the compiled HTML mean nothing to staff."""
    if not error.variable:
        return None
    pattern = re.compile(r"\b" + re.escape(error.variable) + r"\b")
    for start, end in jinja_spans(mjml):
        if pattern.search(mjml, start, end):
            return mjml.count("\n", 0, start) + 1
    return None


def _url(content: ContentFacts, context: Mapping[str, Any], literal: bool) -> str:
    filled = _named("action_url", content, context, literal)
    if len(filled) > MAX_URL:
        raise RenderingError(f"action_url: The address is longer than {MAX_URL} characters.")
    return safe_url(filled) if filled else ""


def _one_line(text: str) -> str:
    """Titles and subjects are one line: a line break in them would start another header."""
    return " ".join(text.split())


def sources_of(content: ContentFacts) -> list[tuple[str, str]]:
    """Field name and source of everything that is rendered, for validation before publishing."""
    skipped = {"version_id", "locale", "mjml", "in_app_actions"}
    named = [(f.name, getattr(content, f.name)) for f in fields(content) if f.name not in skipped]
    for position, action in enumerate(content.in_app_actions):
        named += [(f"in_app_actions.{position}.{part}", action.get(part, "")) for part in ("label", "url")]
    return [(name, source) for name, source in named if source]
