"""The mail that everybody sends: a subject, a text, and 8 KB of HTML with two variables each.

The syntax is common to Jinja2 and Django templates.
"""

import sys
import time

FIRST = (
    1  # mails that a producer sends before its clock starts: it stands for a service that has been running
)


def settle_in() -> None:
    """Give the first mail the time to be gone."""
    time.sleep(0.5)


def stay(*, since: float) -> None:
    """Tell when the clock started and how long the calls took; end when the caller closes the standard input.

    A service that sends goes on running, whereas the end of a process takes half a second of one core.
    """
    print(since, time.monotonic() - since, flush=True)
    sys.stdin.read()


SUBJECT = "Hello {{ name }}, number {{ number }}"
TEXT = (
    "Hello {{ name }},\n\nthis is mail number {{ number }}.\n\n"
    + "A line of text, as mails have them.\n" * 12
)
HTML = (
    "<!doctype html><html><body><h1>Hello {{ name }}</h1><p>This is mail number {{ number }}.</p>\n"
    + '<table><tr><td style="padding:8px;font-family:Helvetica,Arial,sans-serif">A cell of text.</td></tr></table>\n'
    * 70
    + "</body></html>\n"
)
