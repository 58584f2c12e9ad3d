"""The other peer: one Celery task per mail that renders the same text and calls Django's ``send_mail``."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline_peers.peer_settings")

import django
from celery import Celery

django.setup()

from django.core.mail import EmailMultiAlternatives  # noqa: E402
from django.template import Context, Template  # noqa: E402

from pipeline_peers.mail import HTML, SUBJECT, TEXT  # noqa: E402

app = Celery("peer", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "peer:"},
)
_subject, _text, _html = Template(SUBJECT), Template(TEXT), Template(HTML)


@app.task(name="peer.send")
def send(address: str, name: str, number: int) -> None:
    context = Context({"name": name, "number": number})
    mail = EmailMultiAlternatives(
        _subject.render(context),
        _text.render(context),
        "bench@example.com",
        [address],
        headers={"X-Benchmark-Id": str(number)},
    )
    mail.attach_alternative(_html.render(context), "text/html")
    mail.send()
