"""Finds the Jinja2 parts of a source in one pass, whatever the source looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import regex

from notifications.rendering.sandbox import RenderingError

MAX_EXPRESSION = 10_000  # characters of one {{ … }} or {% … %}
_CLOSINGS = {"{{": "}}", "{%": "%}", "{#": "#}", "<!--": "-->"}
_OPENING = regex.compile(r"\{[{%#]")
_OPENING_OR_COMMENT = regex.compile(r"\{[{%#]|<!--")


def jinja_spans(source: str, *, comments: bool = False) -> Iterator[tuple[int, int]]:
    """(start, end) of each expression, statement and comment (``comments``: of HTML's as well), in order.

    What is opened and never closed is text. A regular expression that looks for the end of each of a hundred
    thousand openings takes minutes; this looks once. Raises RenderingError for an expression that is too long.
    """
    opening = _OPENING_OR_COMMENT if comments else _OPENING
    unclosed: set[str] = set()
    position = 0
    while found := opening.search(source, position):
        kind = found[0]
        closing = _CLOSINGS[kind]
        at = -1 if kind in unclosed else source.find(closing, found.end())
        if at == -1:
            unclosed.add(kind)  # nor is any that comes later
            position = found.start() + 1
            continue
        position = at + len(closing)
        if position - found.start() > MAX_EXPRESSION and kind in ("{{", "{%"):
            line = source.count("\n", 0, found.start()) + 1
            raise RenderingError(
                f"Line {line}: an expression may have at most {MAX_EXPRESSION} characters.", line=line
            )
        yield found.start(), position


def replace_jinja(source: str, replacement: Callable[[str], str], *, comments: bool = False) -> str:
    """``source`` with each of ``jinja_spans`` replaced."""
    made: list[str] = []
    position = 0
    for start, end in jinja_spans(source, comments=comments):
        made += source[position:start], replacement(source[start:end])
        position = end
    made.append(source[position:])
    return "".join(made)


MAX_TAG = 8_000  # characters
# Possessive: what does not match is given up at once, without trying it in other ways.
_TAG = regex.compile(r"""</?[a-zA-Z](?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""")
_DOCTYPE = regex.compile(r"<!doctype[^<>]*+>", regex.IGNORECASE)


def tag_spans(html: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each tag and comment, in order; end is -1 for a ``<`` that begins neither.

    The parser of the standard library reads on to the end for each of those, and then starts again behind it.
    """
    position = html.find("<")
    has_comment_end = True
    while position != -1:
        end = -1
        if not html.startswith("<!", position):
            tag = _TAG.match(html, position, position + MAX_TAG)
            end = tag.end() if tag else -1
        elif html.startswith("<!--", position) and has_comment_end:
            end = html.find("-->", position + 4)
            has_comment_end = end != -1
        elif doctype := _DOCTYPE.match(html, position, position + MAX_TAG):
            end = doctype.end()
        yield position, end
        position = html.find("<", max(end, position + 1))
