"""The pages and the JSON interface of the mail catcher, as a small ASGI application.

Mails are other people's HTML. They are shown in a sandboxed frame without scripts and under a policy of
their own; the pages around them load nothing but their own style sheet and script. Requests whose Host is
not loopback are refused, so that no web site can read mails through DNS rebinding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from castcomm.embedded.mail_store import Content, MailStore, Summary, with_inline_images

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ASSETS = Path(__file__).parent / "mail_assets"
_HOSTS = {"localhost", "127.0.0.1", "[::1]"}
_PAGE_LIMIT = 200
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Links open in a tab of their own; nothing else leaves the frame, and no script runs in it.
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_MAIL_POLICY = (
    f"sandbox {_SANDBOX}; default-src 'none'; img-src data: http: https:; "
    "style-src 'unsafe-inline' http: https:; font-src data: http: https:; frame-ancestors 'self'"
)
_INLINE_TYPES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_VIEWS = {"html": "HTML", "text": "Text", "headers": "Headers", "raw": "Source"}


class Response:
    def __init__(
        self, body: bytes | str, content_type: str, *, status: int = 200, policy: str = _PAGE_POLICY
    ) -> None:
        self.body = body.encode() if isinstance(body, str) else body
        self.status = status
        self.headers = {
            "content-type": content_type,
            "content-length": str(len(self.body)),
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
        }

    async def send(self, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class MailPages:
    """The ASGI application."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._pages: list[tuple[re.Pattern[str], Callable[..., Response]]] = [
            (re.compile(r"/"), lambda query: _html("Mail", self._list())),
            (re.compile(r"/style\.css"), lambda query: _asset("style.css", "text/css")),
            (re.compile(r"/script\.js"), lambda query: _asset("script.js", "text/javascript")),
            (re.compile(r"/api/messages"), self._api_list),
            (re.compile(r"/api/messages/(\d{1,18})"), self._api_detail),
            (re.compile(r"/messages/(\d{1,18})"), self._detail),
            (re.compile(r"/messages/(\d{1,18})/html"), self._mail_html),
            (re.compile(r"/messages/(\d{1,18})/raw"), self._raw),
            (re.compile(r"/messages/(\d{1,18})/parts/(\d{1,4})"), self._part),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope).send(send)

    def _answer(self, scope: Scope) -> Response:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        if host not in _HOSTS:
            return _problem(403, "The mail catcher answers on localhost only.")
        method, path = scope["method"], scope["path"]
        query = {
            name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()
        }
        if path == "/api/messages" and method == "DELETE":
            return _json({"deleted": self._store.clear()})
        if method not in {"GET", "HEAD"}:
            return _problem(405, "Only GET is possible here, and DELETE /api/messages.")
        try:
            return self._page(path, query)
        except (KeyError, ValueError, IndexError):
            return _problem(404, "There is no such mail. The catcher keeps the newest only.")

    def _page(self, path: str, query: dict[str, str]) -> Response:
        """Raises KeyError when there is no such page or mail."""
        for pattern, page in self._pages:
            if match := pattern.fullmatch(path):
                return page(*map(int, match.groups()), query)
        raise KeyError(path)

    def _api_list(self, query: dict[str, str]) -> Response:
        limit = min(max(int(query.get("limit", "100")), 0), 1000)
        found = self._store.newest(limit=limit, recipient=query.get("to", ""))
        return _json({"total": len(self._store), "messages": [summary.as_json() for summary in found]})

    def _api_detail(self, number: int, query: dict[str, str]) -> Response:
        content = self._store.content(number)
        summary = self._store.summary(number)
        assert summary is not None
        parts = [
            {"name": part.name, "content_type": part.content_type, "size": len(part.content)}
            for part in content.parts
        ]
        return _json(
            summary.as_json()
            | {"headers": content.headers, "text": content.text, "html": content.html, "parts": parts}
        )

    def _list(self) -> str:
        summaries = self._store.newest(limit=_PAGE_LIMIT)
        rows = "".join(_row(summary) for summary in summaries)
        newest = summaries[0].id if summaries else 0
        shown = f"{len(self._store)} mails" if len(self._store) != 1 else "1 mail"
        if len(self._store) > _PAGE_LIMIT:
            shown += f", the newest {_PAGE_LIMIT} are listed"
        body = (
            f'<ol class="mails">{rows}</ol>'
            if rows
            else '<p class="empty">No mail has come yet. This page looks again by itself.</p>'
        )
        button = '<button type="button" id="clear">Delete all</button>' if rows else ""
        return (
            f'<div class="bar"><h1>Mail</h1><p id="count" role="status">{shown}</p>{button}</div>'
            f'<div id="list" data-newest="{newest}" data-total="{len(self._store)}">{body}</div>'
        )

    def _detail(self, number: int, query: dict[str, str]) -> Response:
        content = self._store.content(number)
        summary = self._store.summary(number)
        assert summary is not None
        view = query.get("view", "")
        if view not in _VIEWS:
            view = "html" if content.html is not None else "text"
        links = "".join(
            f'<a href="?view={key}"{" aria-current=page" if key == view else ""}>{label}</a>'
            for key, label in _VIEWS.items()
        )
        parts = "".join(
            f'<li><a href="/messages/{number}/parts/{index}">{escape(part.name)}</a> '
            f"<small>{escape(part.content_type)}, {len(part.content):,} bytes</small></li>"
            for index, part in enumerate(content.parts)
        )
        body = (
            '<p><a href="/">All mail</a></p>'
            f"<h1>{escape(summary.subject) or '(no subject)'}</h1>"
            f"<dl><dt>From</dt><dd>{escape(summary.from_)}</dd><dt>To</dt><dd>{escape(summary.to)}</dd>"
            f"<dt>Envelope</dt><dd>{escape(summary.sender)} to {escape(', '.join(summary.recipients))}</dd>"
            f"<dt>Received</dt><dd>{_time(summary)}</dd></dl>"
            f'<nav class="views" aria-label="Ways to look at this mail">{links}</nav>'
            f"{self._view(number, content, view)}"
            + (f"<h2>Attachments</h2><ul>{parts}</ul>" if parts else "")
        )
        return _html(summary.subject or "(no subject)", body)

    def _view(self, number: int, content: Content, view: str) -> str:
        if view == "html":
            if content.html is None:
                return '<p class="empty">This mail has no HTML part.</p>'
            frame = f'sandbox="{_SANDBOX}" src="/messages/{number}/html" title="The mail as HTML"'
            return f"<iframe {frame}></iframe>"
        if view == "text":
            if content.text is None:
                return '<p class="empty">This mail has no text part.</p>'
            return f'<pre tabindex="0">{escape(content.text)}</pre>'
        if view == "headers":
            rows = "".join(
                f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
                for name, value in content.headers
            )
            return f"<table>{rows}</table>"
        raw = self._store.raw(number).decode("utf-8", errors="replace")
        return (
            f'<p><a href="/messages/{number}/raw">Source alone</a></p><pre tabindex="0">{escape(raw)}</pre>'
        )

    def _mail_html(self, number: int, query: dict[str, str]) -> Response:
        content = self._store.content(number)
        html = with_inline_images(content.html or "", content.parts, f"/messages/{number}/parts")
        return Response(f'<base target="_blank">{html}', "text/html; charset=utf-8", policy=_MAIL_POLICY)

    def _raw(self, number: int, query: dict[str, str]) -> Response:
        return Response(self._store.raw(number), "text/plain; charset=utf-8", policy=_MAIL_POLICY)

    def _part(self, number: int, index: int, query: dict[str, str]) -> Response:
        part = self._store.content(number).parts[index]
        inline = part.content_type in _INLINE_TYPES
        response = Response(
            part.content, part.content_type if inline else "application/octet-stream", policy="sandbox"
        )
        disposition = "inline" if inline else "attachment"
        response.headers["content-disposition"] = (
            f"{disposition}; filename*=UTF-8''{quote(part.name, safe='')}"
        )
        return response


def _row(summary: Summary) -> str:
    subject = escape(summary.subject) or "(no subject)"
    return (
        f'<li><a href="/messages/{summary.id}"><span class="subject">{subject}</span>'
        f'<span class="to">to {escape(", ".join(summary.recipients))}</span>'
        f"{_time(summary)}</a></li>"
    )


def _time(summary: Summary) -> str:
    written = summary.received_at
    return f'<time datetime="{written}">{written[:10]} {written[11:19]} UTC</time>'


def _asset(name: str, content_type: str) -> Response:
    return Response((_ASSETS / name).read_bytes(), f"{content_type}; charset=utf-8")


def _html(title: str, body: str) -> Response:
    return Response(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} · CastComm mail catcher</title>"
        '<link rel="stylesheet" href="/style.css"><script type="module" src="/script.js"></script></head>'
        f"<body><main>{body}</main></body></html>",
        "text/html; charset=utf-8",
    )


def _json(value: object, *, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), "application/json", status=status)


def _problem(status: int, detail: str) -> Response:
    return _json({"detail": detail}, status=status)
