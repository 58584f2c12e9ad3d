"""The addresses that providers call: ``/webhooks/<channel>/<provider>`` and ``…/<account id>``.

Without an account's id it is the environment's account. No session, no cookie, no CSRF: the signature is all that
counts. Who signs wrongly too often is not listened to for a minute.
"""

from __future__ import annotations

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from castcomm.common.ids import parse_id
from notifications.models import ProviderAccount
from notifications.providers.base import Account
from notifications.services.provider_accounts import ENVIRONMENT, account_of, environment_accounts
from notifications.services.receipts import record_receipts
from notifications.webhooks.base import WebhookParser, WebhookRefused, WebhookRequest, parser_for
from notifications.webhooks.wrong_signatures import SECONDS, are_too_many, count_wrong_signature

log = structlog.get_logger(__name__)

MAX_BODY = 2 * 1024 * 1024  # bytes
_WORDS = {
    400: ("invalid", "The body cannot be read."),
    401: ("not_authenticated", "The signature is missing or wrong."),
    403: ("permission_denied", "This is not for this account."),
    404: ("not_found", "There is nothing at this address."),
    413: ("payload_too_large", "The body of the request is too large."),
    429: ("throttled", "Too many requests with a wrong signature."),
    503: ("not_configured", "This cannot be verified at the moment."),
}


@csrf_exempt
@require_POST
def receive(request: HttpRequest, channel: str, provider: str, account_id: str = "") -> HttpResponse:
    """Verify a provider's webhook, store what it says, apply it. 200 also for what was known already."""
    parser = parser_for(channel, provider)
    account = find_account(channel, provider, account_id) if parser else None
    if parser is None or account is None:
        return refusal(404)
    if are_too_many(request):
        return refusal(429)
    try:
        return answer_to(parser, read_request(request), account)
    except WebhookRefused as refused:
        return refused_as(request, refused, account)


def answer_to(parser: WebhookParser, request: WebhookRequest, account: Account) -> HttpResponse:
    """Act on a request; raises WebhookRefused, with nothing stored."""
    if not parser.is_configured(account):
        raise WebhookRefused(503, f"the account lacks {' or '.join(parser.needs)}")
    parser.verify(request, account)
    if not parser.shake_hands(request, account):
        receipts = parser.parse(request, account)
        done = record_receipts(receipts)
        log.info(
            "webhooks.received", provider=parser.key, account=account.key, new=done.new, moved=done.applied
        )
    # Mailgun takes nothing but 200 for an answer.
    return HttpResponse(status=200, content_type="text/plain")


def find_account(channel: str, provider: str, account_id: str) -> Account | None:
    """The account that a request names, also one that is switched off: reports of what it sent still come."""
    if not account_id:
        key = f"{ENVIRONMENT}{provider}"
        return next((one for one in environment_accounts(channel) if one.key == key), None)
    id_ = parse_id(account_id)
    if id_ is None:
        return None
    row = ProviderAccount.objects.filter(id=id_, channel=channel, provider=provider).first()
    return account_of(row) if row else None


def read_request(request: HttpRequest) -> WebhookRequest:
    """The request with its raw body; raises WebhookRefused (413)."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > MAX_BODY:
        raise WebhookRefused(413, f"{length} bytes")
    # Not ``request.body``: that has a limit of its own, which is the API's.
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise WebhookRefused(413, f"more than {MAX_BODY} bytes")
    return WebhookRequest(
        body=body,
        headers=request.headers,
        path=request.get_full_path(),
        content_type=request.content_type or "",
    )


def refused_as(request: HttpRequest, refused: WebhookRefused, account: Account) -> HttpResponse:
    """The answer to a request that is not believed; a wrong signature is counted, and the reason logged."""
    if refused.is_forged:
        count_wrong_signature(request)
    log.warning(
        "webhooks.refused",
        provider=account.provider,
        account=account.key,
        status=refused.status,
        reason=refused.reason,
    )
    return refusal(refused.status)


def refusal(status: int) -> HttpResponse:
    """An error in the API's shape that tells no more than it must."""
    code, detail = _WORDS[status]
    error = {"code": code, "detail": detail, "attr": None}
    kind = "server_error" if status >= 500 else "client_error"
    headers = {"Retry-After": str(SECONDS)} if status == 429 else {}
    return JsonResponse({"type": kind, "errors": [error]}, status=status, headers=headers)
