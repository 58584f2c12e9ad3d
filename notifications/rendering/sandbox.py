"""Jinja2 for text that staff write: sandboxed, bounded, and with errors that name line and variable.

The context holds plain values only (see ``plain``): an object with methods would let a template reach the
database. What a template may cost is bounded (see ``bounds``).
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta, nodes

from notifications.rendering.bounds import MAX_LOOP_DEPTH, MAX_OUTPUT, BoundedEnvironment, Bounding, budget

MAX_SOURCE = 200_000  # characters
PLAIN_TYPES = (str, int, float, bool, type(None), dt.datetime, dt.date)
# Statements that hold their output back (to name, filter or repeat it) could double it again and again.
_UNAVAILABLE = (
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.AssignBlock,
    nodes.Block,
)


class RenderingError(ValueError):
    """The template cannot be compiled or rendered. ``line`` counts from 1; both may be unknown."""

    def __init__(self, message: str, *, line: int | None = None, variable: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.variable = variable


def safe_url(value: Any) -> str:
    """``value`` when it is a link that may stand in a message (http, https, mailto, or a path), else ``#``."""
    text = str(value).strip()
    if any(ord(character) < 33 for character in text):
        return "#"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "#"
    if parts.scheme in ("http", "https", "mailto"):
        return text
    return (
        text if not parts.scheme and text.startswith(("/", "#", "?")) and not text.startswith("//") else "#"
    )


def _date(value: Any, form: str = "%Y-%m-%d") -> str:
    """A date of the data (ISO 8601, as JSON has it) in the form of ``strftime``; other text stays as it is."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    return str(value.strftime(form[:100])) if isinstance(value, dt.date) else str(value)


@functools.cache
def _environment(html: bool) -> BoundedEnvironment:
    made = BoundedEnvironment(
        autoescape=html, undefined=StrictUndefined, cache_size=0, keep_trailing_newline=False
    )
    made.filters |= {"safe_url": safe_url, "date": _date}
    return made


@functools.lru_cache(maxsize=4096)
def compile_template(source: str, *, html: bool) -> Template:
    """The compiled template; raises RenderingError for syntax that is wrong or not allowed."""
    if len(source) > MAX_SOURCE:
        raise RenderingError(f"The template is longer than {MAX_SOURCE} characters.")
    environment = _environment(html)
    try:
        tree = environment.parse(source)
        _check_statements(tree)
        code = environment.compile(Bounding().visit(tree))
        return environment.template_class.from_code(environment, code, environment.make_globals(None), None)
    except RenderingError:
        raise
    except TemplateSyntaxError as error:
        words = (error.message or "").rstrip(".")
        raise RenderingError(f"Line {error.lineno}: {words}.", line=error.lineno) from error
    except Exception as error:  # numbers of thousands of digits, nesting that Python's own compiler refuses
        raise RenderingError(f"It cannot be compiled: {type(error).__name__}: {error}.") from error


def _check_statements(node: nodes.Node, depth: int = 0) -> None:
    for child in node.iter_child_nodes():
        if isinstance(child, _UNAVAILABLE) or (isinstance(child, nodes.For) and child.recursive):
            raise RenderingError(
                f"Line {child.lineno}: include, import, extends, block, macro, call, filter, set with a body and "
                "recursive loops are not available.",
                line=child.lineno,
            )
        deeper = depth + isinstance(child, nodes.For)
        if deeper > MAX_LOOP_DEPTH:
            raise RenderingError(
                f"Line {child.lineno}: loops may be nested {MAX_LOOP_DEPTH} deep at most.", line=child.lineno
            )
        _check_statements(child, deeper)


def render(source: str, context: Mapping[str, Any], *, html: bool) -> str:
    """``source`` filled with ``context`` (plain values); raises RenderingError with line and variable."""
    template = compile_template(source, html=html)
    try:
        with budget():
            text = _collected(template, context)
    except RenderingError:
        raise
    except UndefinedError as error:
        name = _undefined_name(str(error))
        line = _line_of(error)
        raise RenderingError(
            f"Line {line}: the variable {name!r} has no value.", line=line, variable=name
        ) from error
    except Exception as error:  # any failure of a template is the template's, and is reported as such
        line = _line_of(error)
        raise RenderingError(f"Line {line}: {str(error).rstrip('.')}.", line=line) from error
    if "\x00" in text or not storable(text):
        raise RenderingError(
            "The result contains characters that no text may have (NUL, half a surrogate pair)."
        )
    return text


def storable(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8; escapes in a template can make half of a surrogate pair."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _collected(template: Template, context: Mapping[str, Any]) -> str:
    """What the template gives, piece by piece, so that too much of it is noticed before it is put together."""
    pieces = []
    size = 0
    for piece in template.generate(context):
        size += len(piece)
        if size > MAX_OUTPUT:
            raise RenderingError(f"The result is longer than {MAX_OUTPUT} characters.")
        pieces.append(piece)
    return "".join(pieces)


_UNDEFINED = re.compile(r"'([^']+)' is undefined|has no (?:attribute|element) '?([^']+)'?")


def _undefined_name(message: str) -> str:
    match = _UNDEFINED.search(message)
    return (match.group(1) or match.group(2)) if match else message


def _line_of(error: BaseException) -> int | None:
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<template>"]
    return lines[-1] if lines else None


def plain(value: Any, *, path: str = "data") -> Any:
    """``value`` if it is made of plain types only; raises TypeError that names the path otherwise."""
    if isinstance(value, PLAIN_TYPES):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, path=f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, path=f"{path}.{index}") for index, item in enumerate(value)]
    raise TypeError(
        f"{path} is a {type(value).__name__}; templates take text, numbers, dates, lists and objects"
    )


def variables_of(source: str) -> frozenset[str]:
    """The names that a template takes from its context."""
    return frozenset(meta.find_undeclared_variables(_environment(False).parse(source)))
