"""SMS that people send to a number at Twilio: ``/webhooks/sms/twilio/inbound`` and ``…/twilio/<account id>/inbound``.

https://www.twilio.com/docs/messaging/guides/webhook-request

The answer is TwiML. Twilio itself confirms STOP and START to the person, so that ours is empty; HELP gets the text of
SMS_HELP_TEXT where there is one.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from twilio.twiml.messaging_response import MessagingResponse

from notifications.services.sms_replies import Answer, Reply, take_reply
from notifications.vocabulary import Channel
from notifications.webhooks.base import WebhookRefused, WebhookRequest, text
from notifications.webhooks.twilio import check_twilio_signature
from notifications.webhooks.views import find_account, read_request, refusal, refused_as
from notifications.webhooks.wrong_signatures import are_too_many

PROVIDER = "twilio"
MAX_TEXT = 1600  # characters
# Of the raw message: neither who sent it, which stands in it as an index alone, nor where that is.
KEPT = ("MessageSid", "AccountSid", "MessagingServiceSid", "To", "Body", "OptOutType", "NumMedia")


@csrf_exempt
@require_POST
def receive_sms(request: HttpRequest, account_id: str = "") -> HttpResponse:
    """Act on an SMS that came in, if Twilio signed it."""
    account = find_account(Channel.SMS, PROVIDER, account_id)
    if account is None or not account.credentials.get("auth_token"):
        return refusal(404)
    if are_too_many(request):
        return refusal(429)
    try:
        asked = read_request(request)
        check_twilio_signature(asked, account)
        answer = take_reply(account=account, reply=_reply(asked))
    except WebhookRefused as refused:
        return refused_as(request, refused, account)
    return HttpResponse(_twiml(answer), content_type="text/xml; charset=utf-8")


def _reply(asked: WebhookRequest) -> Reply:
    form = asked.form
    message_id = text(form.get("MessageSid") or form.get("SmsSid"))
    if not message_id:
        raise WebhookRefused(400, "no MessageSid")
    return Reply(
        message_id=message_id,
        sender=text(form.get("From")),
        recipient=text(form.get("To")),
        text=text(form.get("Body"), MAX_TEXT),
        keyword=text(form.get("OptOutType")),
        payload={name: text(form.get(name), MAX_TEXT) for name in KEPT if form.get(name)},
    )


def _twiml(answer: Answer) -> str:
    response = MessagingResponse()
    if answer == Answer.HELP and settings.SMS_HELP_TEXT:
        response.message(settings.SMS_HELP_TEXT)
    return str(response)
