"""``python -m pipeline_peers.post_office_run enqueue N``: queue N mails through post-office's ``send``.

Prints when it began and the seconds it took.
"""

import os
import sys
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline_peers.peer_settings")

import django

django.setup()

from post_office import mail  # noqa: E402
from post_office.models import EmailTemplate  # noqa: E402

from pipeline_peers.mail import HTML, SUBJECT, TEXT, settle_in, stay  # noqa: E402


def enqueue(template: EmailTemplate, number: int) -> None:
    mail.send(
        f"person{number}@example.com",
        "bench@example.com",
        template=template,
        context={"name": f"Person {number}", "number": number},
        headers={"X-Benchmark-Id": str(number)},
    )


def main() -> None:
    count = int(sys.argv[2])
    template, _ = EmailTemplate.objects.get_or_create(
        name="bench", defaults={"subject": SUBJECT, "content": TEXT, "html_content": HTML}
    )
    enqueue(template, -1)
    settle_in()
    started = time.monotonic()
    for number in range(count):
        enqueue(template, number)
    stay(since=started)


if __name__ == "__main__":
    main()
