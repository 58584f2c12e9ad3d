"""The keys by which push services know this deployment, made once where none are configured."""

from __future__ import annotations

import uuid

import orjson
import structlog
from django.db import transaction

from castcomm.common import sql
from castcomm.common.errors import Conflict
from notifications.models import ProviderAccount
from notifications.providers.push.vapid import BadVapidKeys, make_keys, read_keys
from notifications.services.provider_accounts import accounts_for, forget_rows
from notifications.vocabulary import Channel

log = structlog.get_logger(__name__)

PROVIDER = "webpush"
_LOCK = 0x5641504944  # "VAPID"; any number that nobody else locks by


def public_key_for(organization_id: uuid.UUID) -> str:
    """What a browser takes as ``applicationServerKey``: an uncompressed point in base64url.

    The first to ask makes the pair, if none is configured: no browser can subscribe before. Raises Conflict when Web
    Push is switched off or its keys cannot be used.
    """
    found = _configured(organization_id)
    if not found:
        keep_new_keys()
        found = _configured(organization_id)
    if not found:
        raise Conflict("Web Push is switched off.", code="push_off")
    return found


def keep_new_keys() -> bool:
    """Make a pair and keep it in an account for all organizations, unless there is one; True when it was made.

    Whoever comes at the same moment waits for the lock and finds the account. It is encrypted like all accounts, and
    staff can change or switch it off.
    """
    with transaction.atomic():
        sql.run("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        shared = ProviderAccount.objects.filter(
            channel=Channel.PUSH, provider=PROVIDER, organization__isnull=True
        )
        if shared.exists():
            forget_rows()
            return False
        public, private = make_keys()
        credentials = {"vapid_public_key": public, "vapid_private_key": private}
        ProviderAccount.objects.create(
            channel=Channel.PUSH,
            provider=PROVIDER,
            name="Web Push (keys made on first use)",
            credentials=orjson.dumps(credentials).decode(),
        )
    log.info("vapid.made", public_key=public)
    return True


def _configured(organization_id: uuid.UUID) -> str:
    for account in accounts_for(Channel.PUSH, organization_id):
        private = account.credentials.get("vapid_private_key", "")
        if not private:
            continue
        try:
            return read_keys(private, account.credentials.get("vapid_public_key", "")).public
        except BadVapidKeys as error:
            raise Conflict(str(error), code="push_misconfigured") from error
    return ""
