"""Jinja2 for text that staff write: sandboxed, bounded, and with errors that name line and variable.

The context holds plain values only (see ``plain``): an object with methods would let a template reach the
database. Multiplication, powers and ranges are bounded, loops may be nested three deep, output is capped.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import traceback
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT = 1_000_000  # characters
MAX_SOURCE = 200_000  # characters
MAX_RANGE = 1_000
MAX_NUMBER = 10**12
MAX_LOOP_DEPTH = 3
PLAIN_TYPES = (str, int, float, bool, type(None), dt.datetime, dt.date)


class RenderingError(ValueError):
    """The template cannot be compiled or rendered. ``line`` counts from 1; both may be unknown."""

    def __init__(self, message: str, *, line: int | None = None, variable: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.variable = variable


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["*", "**", "%"])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise SecurityError("the % operator does not format text here; use ~ or a filter")
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} works on numbers only")
        if abs(left) > MAX_NUMBER or abs(right) > MAX_NUMBER or (operator == "**" and abs(right) > 8):
            raise SecurityError(f"the numbers in {operator} are too large")
        return super().call_binop(context, operator, left, right)


def _bounded_range(*arguments: int) -> range:
    made = range(*arguments)
    if len(made) > MAX_RANGE:
        raise SecurityError(f"range() gives at most {MAX_RANGE} numbers")
    return made


def safe_url(value: Any) -> str:
    """``value`` when it is a link that may stand in a message (http, https, mailto, or a path), else ``#``."""
    text = str(value).strip()
    if any(ord(character) < 33 for character in text):
        return "#"
    parts = urlsplit(text)
    if parts.scheme in ("http", "https", "mailto"):
        return text
    return (
        text if not parts.scheme and text.startswith(("/", "#", "?")) and not text.startswith("//") else "#"
    )


def _date(value: Any, form: str = "%Y-%m-%d") -> str:
    return value.strftime(form[:100]) if isinstance(value, dt.date) else str(value)


@functools.cache
def _environment(html: bool) -> _Environment:
    made = _Environment(autoescape=html, undefined=StrictUndefined, cache_size=0, keep_trailing_newline=False)
    made.globals = {"range": _bounded_range}
    for unsafe in ("xmlattr", "pprint", "center", "format", "indent", "urlize", "map", "attr"):
        made.filters.pop(unsafe, None)
    made.filters["safe_url"] = safe_url
    made.filters["date"] = _date
    return made


@functools.lru_cache(maxsize=4096)
def compile_template(source: str, *, html: bool) -> Template:
    """The compiled template; raises RenderingError for syntax that is wrong or not allowed."""
    if len(source) > MAX_SOURCE:
        raise RenderingError(f"The template is longer than {MAX_SOURCE} characters.")
    environment = _environment(html)
    try:
        tree = environment.parse(source)
        _check_loops(tree)
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise RenderingError(f"Line {error.lineno}: {error.message}.", line=error.lineno) from error
    except TemplateError as error:
        raise RenderingError(f"{error}.") from error


def _check_loops(node: nodes.Node, depth: int = 0) -> None:
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends | nodes.Macro):
            raise RenderingError(
                f"Line {child.lineno}: include, import, extends and macro are not available.",
                line=child.lineno,
            )
        deeper = depth + isinstance(child, nodes.For)
        if deeper > MAX_LOOP_DEPTH:
            raise RenderingError(
                f"Line {child.lineno}: loops may be nested {MAX_LOOP_DEPTH} deep at most.", line=child.lineno
            )
        _check_loops(child, deeper)


def render(source: str, context: Mapping[str, Any], *, html: bool) -> str:
    """``source`` filled with ``context`` (plain values); raises RenderingError with line and variable."""
    template = compile_template(source, html=html)
    try:
        text = template.render(context)
    except UndefinedError as error:
        name = _undefined_name(str(error))
        line = _line_of(error)
        raise RenderingError(
            f"Line {line}: the variable {name!r} has no value.", line=line, variable=name
        ) from error
    except Exception as error:  # any failure of a template is the template's, and is reported as such
        line = _line_of(error)
        raise RenderingError(f"Line {line}: {error}.", line=line) from error
    if len(text) > MAX_OUTPUT:
        raise RenderingError(f"The result is longer than {MAX_OUTPUT} characters.")
    return text


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
