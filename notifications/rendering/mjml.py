"""MJML with Jinja2 in it, compiled once to HTML with Jinja2 in it.

Compiling when a version is published leaves only the filling-in to the moment of sending. MJML's parser must not
see the Jinja2 parts: an expression becomes a word, a statement between elements becomes a comment, and
both come back afterwards. An expression that begins the address in ``href`` or ``src`` is passed through
``safe_url``; further on in an address it is only escaped.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import css_inline
import mjml

from notifications.rendering.sandbox import RenderingError

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_FORBIDDEN = re.compile(r"<\s*(mj-raw|mj-include|script|iframe|object|embed|form)\b", re.IGNORECASE)
_EVENT_ATTRIBUTE = re.compile(r"<[^>]*\son\w+\s*=", re.IGNORECASE)
_WORD = re.compile(r"ccjinja(\d+)x")
_COMMENT = re.compile(r"<!--\s*ccjinja(\d+)x\s*-->")
# The beginning of an address: the quote, and at most statements (which say nothing themselves) behind it.
_URL_BEGINS = re.compile(r"""(?:href|src)\s*=\s*["'](?:\s|ccjinja\d+x)*$""", re.IGNORECASE)
_FORBIDDEN_ADDRESS = re.compile(
    r"""(?:href|src)\s*=\s*["']?\s*(javascript|vbscript|data)\s*:""", re.IGNORECASE
)
_inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)


def compile_mjml(body: str, *, layout: str = "{{ content }}", title: str = "") -> str:
    """HTML for what stands inside ``<mj-body>``; raises RenderingError with MJML's own message.

    ``layout`` is MJML for inside ``<mj-body>`` as well, in which ``{{ content }}`` is replaced by ``body``.
    """
    merged = re.sub(r"\{\{\s*content\s*\}\}", lambda _: body, layout)
    _refuse_dangerous(merged)
    parts: list[str] = []
    source = (
        f"<mjml><mj-head><mj-title>{_escape(title)}</mj-title></mj-head><mj-body>{merged}</mj-body></mjml>"
    )
    protected = _protect(source, parts)
    try:
        html = str(mjml.mjml2html(protected, fonts={}))
        html = str(_inliner.inline(html))
    except (ValueError, OSError) as error:
        raise RenderingError(f"MJML: {error}") from error
    restored = _WORD.sub(lambda m: parts[int(m[1])], _COMMENT.sub(lambda m: parts[int(m[1])], html))
    return restored


def _refuse_dangerous(source: str) -> None:
    found = _FORBIDDEN.search(source)
    if found:
        line = source.count("\n", 0, found.start()) + 1
        raise RenderingError(f"Line {line}: <{found[1].lower()}> is not allowed in e-mails.", line=line)
    found = _EVENT_ATTRIBUTE.search(source)
    if found:
        line = source.count("\n", 0, found.start()) + 1
        raise RenderingError(f"Line {line}: event attributes are not allowed in e-mails.", line=line)
    found = _FORBIDDEN_ADDRESS.search(source)
    if found:
        line = source.count("\n", 0, found.start()) + 1
        raise RenderingError(f"Line {line}: {found[1].lower()}: is not allowed in e-mails.", line=line)


def _protect(source: str, parts: list[str]) -> str:
    made: list[str] = []
    position = 0
    inside_tag = False
    for match in _JINJA.finditer(source):
        before = source[position : match.start()]
        inside_tag = _ends_inside_tag(before, inside_tag)
        made.append(before)
        piece = match[0]
        if piece.startswith("{{") and inside_tag and _begins_address("".join(made)[-2000:], parts):
            piece = "{{ (" + piece[2:-2].strip() + ") | safe_url }}"
        parts.append(piece)
        word = f"ccjinja{len(parts) - 1}x"
        made.append(word if inside_tag or piece.startswith("{{") else f"<!-- {word} -->")
        position = match.end()
    made.append(source[position:])
    return "".join(made)


def _begins_address(before: str, parts: list[str]) -> bool:
    found = _URL_BEGINS.search(before)
    if found is None:
        return False
    return not any(parts[int(number)].startswith("{{") for number in _WORD.findall(found[0]))


def _ends_inside_tag(text: str, inside: bool) -> bool:
    opened, closed = text.rfind("<"), text.rfind(">")
    return inside if opened == closed == -1 else opened > closed


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


class _TextMaker(HTMLParser):
    """Collects the readable text; a link's address follows its words."""

    _BLOCKS = frozenset({"p", "div", "tr", "table", "h1", "h2", "h3", "h4", "li", "ul", "ol", "br"})
    _SILENT = frozenset({"style", "script", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SILENT:
            self._silent += 1
        elif tag == "li":
            self.pieces.append("\n- ")
        elif tag in self._BLOCKS:
            self.pieces.append("\n")
        if tag == "a":
            self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "a" and self._links:
            address = self._links.pop()
            if address and not address.startswith("#"):
                self.pieces.append(f" ({address})")
        elif tag in self._BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))


def text_from_html(html: str) -> str:
    """A readable text part made from (compiled, still Jinja2) HTML."""
    parts: list[str] = []

    def keep(match: re.Match[str]) -> str:
        parts.append(match[0])
        return f"ccjinja{len(parts) - 1}x"

    maker = _TextMaker()
    maker.feed(_JINJA.sub(keep, html))
    maker.close()
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(maker.pieces))
    text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]{2,}", " ", text)).strip() + "\n"
    return _WORD.sub(lambda m: parts[int(m[1])], text)
