"""What the links of a mail cost: rewriting 8 KB of HTML with 20 links, and making the links to unsubscribe.

Run it with the environment of a deployment or of bin/test: ``.venv/bin/python benchmarks/tracking.py``. It counts
processor time, so that a busy machine matters little. It writes nothing: the ids of links are put where a process
remembers them, as they are after the first mail of a mailing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")
os.environ.setdefault("DEBUG", "true")

import django

django.setup()

from castcomm.common.clock import now as current_time  # noqa: E402
from castcomm.common.ids import new_id  # noqa: E402
from notifications.rendering.mjml import compile_mjml  # noqa: E402
from notifications.services import tracking  # noqa: E402
from notifications.services.mail_links import links_for  # noqa: E402

LINKS = 20
SIZE = 8 * 1024  # bytes


def mail() -> str:
    """A mail as MJML makes them, with 20 links, cut to 8 KB by the length of its paragraphs."""
    texts = [
        f'<a href="https://example.com/offers/{number}?from=mail&amp;place={number}">Offer {number}</a>'
        for number in range(LINKS)
    ]
    body = f"<mj-section><mj-column><mj-text>{' and '.join(texts)}</mj-text></mj-column></mj-section>"
    html = compile_mjml(body, title="Offers")
    filler = "<p>Words that say something. </p>" * ((SIZE - len(html)) // 33)
    return html.replace("</body>", f"{filler}</body>")


def measure(what: str, call: Callable[[], object], *, rounds: int, count: int) -> None:
    times = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(count):
            call()
        times.append((time.process_time() - started) / count)
    middle, best = statistics.median(times) * 1000, min(times) * 1000
    print(f"{what:<44} {middle:7.3f} ms  (best {best:.3f} ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="mails per round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    organization_id, html = new_id(), mail()
    for _, _, url in tracking.find_anchors(html).hrefs:
        digest = hashlib.sha256(url.encode()).digest()
        tracking.remember(organization_id, {digest: new_id()}, day=current_time())
    ids = {"organization_id": organization_id, "delivery_id": new_id()}
    rewritten = tracking.add_tracking(html, **ids, opens=True, clicks=True)
    assert rewritten.count("/t/c/") == LINKS
    print(f"{len(html)} bytes of HTML, {LINKS} links")
    repeat = {"rounds": options.rounds, "count": options.count}
    measure(
        "opens and clicks",
        lambda: tracking.add_tracking(html, **ids, opens=True, clicks=True),
        **repeat,
    )
    measure("opens alone", lambda: tracking.add_tracking(html, **ids, opens=True, clicks=False), **repeat)
    person = {**ids, "category_id": new_id(), "is_critical": False}
    measure(
        "links to unsubscribe, a user",
        lambda: links_for(**person, user_id=ids["delivery_id"], email=""),
        **repeat,
    )
    measure(
        "links to unsubscribe, a bare address",
        lambda: links_for(**person, user_id=None, email="person@example.com"),
        **repeat,
    )


if __name__ == "__main__":
    main()
