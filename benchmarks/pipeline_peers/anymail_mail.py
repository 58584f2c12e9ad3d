"""One Celery task per mail, sent with Anymail's Postmark backend: what most Django projects do."""

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline_peers.peer_settings")
django.setup()

from django.core.mail import EmailMultiAlternatives, get_connection  # noqa: E402
from django.template import Context, Template  # noqa: E402

from pipeline_peers.mail import HTML, SUBJECT, TEXT  # noqa: E402

app = Celery("anymail_peer", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "anymail-peer:"},
)
_subject, _text, _html = Template(SUBJECT), Template(TEXT), Template(HTML)


@app.task(name="anymail_peer.send")
def send(address: str, name: str, number: int) -> None:
    context = Context({"name": name, "number": number})
    connection = get_connection(
        "anymail.backends.postmark.EmailBackend",
        server_token="benchmark",
        api_url=os.environ["POSTMARK_API_URL"],
    )
    mail = EmailMultiAlternatives(
        _subject.render(context), _text.render(context), "bench@example.com", [address], connection=connection
    )
    mail.attach_alternative(_html.render(context), "text/html")
    mail.metadata = {"delivery_id": str(number)}
    mail.send()
