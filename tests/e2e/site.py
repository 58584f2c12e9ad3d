"""The service as people meet it: a web process on the test database, and a mailbox for what it sends."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller
from django.conf import settings
from django.db import connection
from django.test import Client

from accounts.models import User

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 40
STOP_SECONDS = 15


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Mailbox:
    """An SMTP server on loopback that keeps what arrives."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(cast(EmailMessage, mail))
        return "250 OK"

    def link_for(self, address: str, path: str) -> str:
        """The link below ``path`` in the newest mail to ``address``; waits up to five seconds for it."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for mail in reversed(self.mails):
                body = mail.get_body(("plain", "html"))
                found = body and re.search(rf"https?://\S+{re.escape(path)}[^\s\"<>]*", body.get_content())
                if found and address in str(mail["To"]):
                    return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no mail to {address} with a link below {path}: {self.mails}")

    def stop(self) -> None:
        self._controller.stop()


class Site:
    """Uvicorn on a fixed port; ``stop`` and ``start`` cut and restore what is connected to it."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.port, self.customer_port = free_port(), free_port()
        self.url = f"http://localhost:{self.port}"
        # A page of somebody else's, which CORS_ORIGINS names.
        self.customer_url = f"http://127.0.0.1:{self.customer_port}"
        self._mailbox = mailbox
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def session_cookie(self) -> str:
        return f"castcomm_session_{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "castcomm.asgi:application", "--port", str(self.port)]
        command += ["--ws", "websockets-sansio", "--log-level", "warning", "--no-access-log"]
        self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment())
        self._wait()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def cookies_of(self, user: User) -> list[dict[str, str]]:
        """The cookie of a session of this person, as Playwright takes cookies."""
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        return [{"name": self.session_cookie, "value": session, "url": self.url}]

    def _environment(self) -> dict[str, str]:
        database = connection.settings_dict["NAME"]
        return {
            **os.environ,
            "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl(),
            "REDIS_PREFIX": settings.REDIS_PREFIX,
            "SECRET_KEY": settings.SECRET_KEY,
            "DEBUG": "1",
            "LOG_LEVEL": "WARNING",
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            "FRONTEND_URL": self.url,
            "CORS_ORIGINS": self.customer_url,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self._mailbox.port),
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, "the server ended at once"
            try:
                urllib.request.urlopen(f"{self.url}/accounts/login/", timeout=10).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise TimeoutError("the server did not come up")
