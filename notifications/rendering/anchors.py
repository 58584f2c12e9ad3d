"""Where the links of an HTML mail stand, to the character, so that an address can be exchanged and nothing else.

The text is cut up as a browser's tokenizer does it (WHATWG HTML, 13.2.5): what looks like a link inside a comment
(Outlook's conditional ones too), a style sheet or another tag's attribute is none. Nothing is parsed into a tree and
written out again, which would change quoting, entities and whatever the writer of the mail got past a mail client.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import unescape
from html.entities import html5

import regex  # Python's own re takes possessive quantifiers for something else up to 3.11.4

_WS = r"\t\n\f\r "
_VALUE = rf"""(?:"[^"]*+"|'[^']*+'|[^{_WS}>"'][^{_WS}>]*+|(?=>))"""
_ATTRIBUTE = rf"[^{_WS}/>][^{_WS}/>=]*+(?:[{_WS}]*+=[{_WS}]*+{_VALUE})?+"
_ATTRIBUTES = rf"(?:[{_WS}/]++|{_ATTRIBUTE})*+"
# Written out one by one, without a group that is referred to from inside a possessive one.
_RAW = "|".join(
    rf"<{name}(?=[{_WS}/>]){_ATTRIBUTES}>(?s:.*?)(?:(?=</{name}[{_WS}/>])|\Z)"
    for name in ("style", "script", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
)
# Up to and with the next tag that matters: a link, or the end of the body. What is passed over: text, comments,
# elements whose content is no markup, other tags, and the rest of the text when a tag has no end.
_PASSED = rf"""
    (?: [^<]++
      | <!--(?:-?>|(?s:.*?)(?:--!?>|\Z))
      | {_RAW}
      | <(?!(?:a|area)[{_WS}/>]|/body[{_WS}/>])/?[a-z][^{_WS}/>]*+{_ATTRIBUTES}>
      | <[!?][^>]*+(?:>|\Z)
      | </(?![a-z])[^>]*+(?:>|\Z)
      | <(?![a-z!?/])
    )*+
"""
_TAG = regex.compile(
    rf"{_PASSED}(?:<(?:a|area)(?=[{_WS}/>])(?P<link>{_ATTRIBUTES})>|<(?P<body>/body){_ATTRIBUTES}>|\Z)",
    regex.IGNORECASE | regex.VERBOSE,
)
_PARTS = regex.compile(
    rf"(?P<name>[^{_WS}/>][^{_WS}/>=]*+)(?:[{_WS}]*+=[{_WS}]*+"
    rf"""(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^{_WS}>"'][^{_WS}>]*+)|(?=>|\Z)))?"""
)
_HREF = regex.compile("href", regex.IGNORECASE)
_REFERENCE = regex.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]*;?)")
NO_TRACK = "data-no-track"


@dataclass(frozen=True, slots=True)
class Anchors:
    """``hrefs``: start, end and value of each link's address, in order; the value is decoded, the span is what stands
    between the quotes. ``body_end``: where the end tag of the body stands, else the end of the text; None when the
    text ends in the middle of a tag, where nothing can be added."""

    hrefs: list[tuple[int, int, str]]
    body_end: int | None


def find_anchors(html: str) -> Anchors:
    """The links of ``html`` that are not marked ``data-no-track``."""
    hrefs: list[tuple[int, int, str]] = []
    body_end: int | None = None
    at, size = 0, len(html)
    while at < size:
        found = _TAG.match(html, at)
        if found is None:
            # A tag without an end, which swallows the rest of the text.
            return Anchors(hrefs, body_end)
        at = found.end()
        if found["link"] is not None:
            span = _href(html, found.start("link"), found.end("link"))
            if span is not None:
                hrefs.append((*span, attribute_text(html[span[0] : span[1]])))
        elif found["body"] is not None:
            body_end = found.start("body") - 1
    return Anchors(hrefs, size if body_end is None else body_end)


def _href(html: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the first ``href`` among these attributes has its value; of a name given twice the first one counts."""
    if _HREF.search(html, start, end) is None:
        return None
    span: tuple[int, int] | None = None
    seen = False
    for part in _PARTS.finditer(html, start, end):
        name = part["name"].lower()
        if name == NO_TRACK:
            return None
        if name == "href" and not seen:
            seen = True
            value = part.lastgroup
            span = part.span(value) if value is not None and value != "name" else None
    return span


def attribute_text(value: str) -> str:
    """The value of an attribute with its character references resolved (WHATWG HTML, 13.2.5.73).

    In an attribute ``&copy=2`` is no copyright sign: addresses with a bare ``&`` stay what they are.
    """
    return _REFERENCE.sub(_resolved, value) if "&" in value else value


def _resolved(found: regex.Match[str]) -> str:
    text = found[0]
    if text == "&amp;":
        return "&"
    if text[1] == "#":
        return unescape(text)
    name = text[1:]
    if name not in html5 or (name[-1] != ";" and found.string.startswith("=", found.end())):
        return text
    return html5[name]
