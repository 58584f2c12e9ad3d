"""MJML with Jinja2 in it, compiled once to HTML with Jinja2 in it.

Compiling when a version is published leaves only the filling-in to the moment of sending. MJML's parser must not
see the Jinja2 parts: an expression becomes a word, a statement between elements becomes a comment, and
both come back afterwards. An expression that begins the address in ``href`` or ``src`` is passed through
``safe_url``; further on in an address it is only escaped.
"""

from __future__ import annotations

import re
import secrets
from html.parser import HTMLParser

import css_inline
import mjml

from notifications.rendering.mail_head import MAIL_HEAD
from notifications.rendering.sandbox import RenderingError
from notifications.rendering.spans import jinja_spans, replace_jinja, tag_spans

# Elements inside each other. The compiler uses its stack, and when that is used up the process ends.
MAX_DEPTH = 200
MAX_MERGED = 500_000  # characters of a layout with its content filled in
_FORBIDDEN = re.compile(r"<\s*(mj-raw|mj-include|script|iframe|object|embed|form)\b", re.IGNORECASE)
_EVENT_ATTRIBUTE = re.compile(r"\son\w+\s*=", re.IGNORECASE)
_FORBIDDEN_ADDRESS = re.compile(
    r"""(?:href|src)\s*=\s*(?:["']\s*)?(javascript|vbscript|data)\s*:""", re.IGNORECASE
)
_NAME = re.compile(r"</?([a-z][a-z0-9-]*)", re.IGNORECASE)
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_CONTENT = re.compile(r"\{\{\s*content\s*\}\}")
_inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)


def compile_mjml(body: str, *, layout: str = "{{ content }}", title: str = "", locale: str = "und") -> str:
    """HTML for what stands inside ``<mj-body>``; raises RenderingError with MJML's own message.

    ``layout`` is MJML for inside ``<mj-body>`` as well, in which ``{{ content }}`` is replaced by ``body``.
    ``locale`` is the mail's language (BCP 47), in which programs read it out.
    """
    if len(layout) + len(_CONTENT.findall(layout)) * len(body) > MAX_MERGED:
        raise RenderingError(f"The layout with its content is longer than {MAX_MERGED} characters.")
    merged = _CONTENT.sub(lambda _: body, layout)
    _refuse_dangerous(merged)
    stand_ins = _StandIns()
    # Nothing but text may stand in the title: a statement becomes a word there as well, and no comment.
    head = f"<mj-title>{_escape(replace_jinja(title, stand_ins.keep))}</mj-title>{MAIL_HEAD}"
    language = _escape(locale.replace("_", "-")).replace('"', "")
    source = f'<mjml lang="{language}"><mj-head>{head}</mj-head><mj-body>{merged}</mj-body></mjml>'
    protected = _protect(source, stand_ins)
    _refuse_deep(protected)
    try:
        html = str(mjml.mjml2html(protected, fonts={}))
        html = str(_inliner.inline(html))
    except (ValueError, OSError) as error:
        raise RenderingError(f"MJML: {error}") from error
    return stand_ins.restore(html)


class _StandIns:
    """Words that stand for Jinja2 parts meanwhile. Nobody can write one: they differ each time."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._prefix = f"cc{secrets.token_hex(8)}n"
        self._word = re.compile(self._prefix + r"(\d+)x")
        self._comment = re.compile(rf"<!--\s*{self._prefix}(\d+)x\s*-->")
        # The beginning of an address: the quote, and at most statements (which say nothing themselves) behind it.
        self._url_begins = re.compile(
            rf"""(?:href|src)\s*=\s*["'](?:\s|{self._prefix}\d+x)*$""", re.IGNORECASE
        )

    def keep(self, part: str) -> str:
        """The word for ``part``."""
        self._parts.append(part)
        return f"{self._prefix}{len(self._parts) - 1}x"

    def restore(self, text: str) -> str:
        """``text`` with the parts back in their places."""
        bare = self._comment.sub(lambda m: self._parts[int(m[1])], text)
        return self._word.sub(lambda m: self._parts[int(m[1])], bare)

    def begins_address(self, before: str) -> bool:
        """Whether an expression after ``before`` would be the beginning of a link's address."""
        found = self._url_begins.search(before)
        if found is None:
            return False
        return not any(self._parts[int(number)].startswith("{{") for number in self._word.findall(found[0]))


def _refuse_dangerous(source: str) -> None:
    found = _FORBIDDEN.search(source)
    if found:
        line = source.count("\n", 0, found.start()) + 1
        raise RenderingError(f"Line {line}: <{found[1].lower()}> is not allowed in e-mails.", line=line)
    position, inside_tag = 0, False
    for found in _EVENT_ATTRIBUTE.finditer(source):
        inside_tag = _ends_inside_tag(source[position : found.start()], inside_tag)
        position = found.start()
        if inside_tag:
            line = source.count("\n", 0, position) + 1
            raise RenderingError(f"Line {line}: event attributes are not allowed in e-mails.", line=line)
    found = _FORBIDDEN_ADDRESS.search(source)
    if found:
        line = source.count("\n", 0, found.start()) + 1
        raise RenderingError(f"Line {line}: {found[1].lower()}: is not allowed in e-mails.", line=line)


def _refuse_deep(source: str) -> None:
    depth = 0
    for start, end in tag_spans(source):
        name = _NAME.match(source, start)
        if name is None or name[1].lower() in _VOID or source.startswith("/>", end - 2):
            continue
        depth += -1 if source.startswith("</", start) else 1
        if depth > MAX_DEPTH:
            raise RenderingError(f"Elements may stand inside each other {MAX_DEPTH} deep at most.")


def _protect(source: str, stand_ins: _StandIns) -> str:
    made: list[str] = []
    position = 0
    inside_tag = False
    recent = ""  # the end of what is made
    for start, end in jinja_spans(source):
        before = source[position:start]
        inside_tag = _ends_inside_tag(before, inside_tag)
        recent = (recent + before)[-2000:]
        piece = source[start:end]
        is_expression = piece.startswith("{{")
        if is_expression and inside_tag and stand_ins.begins_address(recent):
            piece = "{{ (" + piece[2:-2].strip() + ") | safe_url }}"
        word = stand_ins.keep(piece)
        if not (inside_tag or is_expression):
            word = f"<!-- {word} -->"
        made += before, word
        recent += word
        position = end
    made.append(source[position:])
    return "".join(made)


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


def _loose_as_text(html: str) -> str:
    made: list[str] = []
    position = 0
    for at, end in tag_spans(html):
        if end == -1:
            made += html[position:at], "&lt;"
            position = at + 1
    made.append(html[position:])
    return "".join(made)


def text_from_html(html: str) -> str:
    """A readable text part made from (compiled, still Jinja2) HTML."""
    stand_ins = _StandIns()
    maker = _TextMaker()
    maker.feed(_loose_as_text(replace_jinja(html, stand_ins.keep)))
    maker.close()
    text = re.sub(r"[ \t]{2,}", " ", "".join(maker.pieces))
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return stand_ins.restore(text)
