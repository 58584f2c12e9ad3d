"""Installs the ready-made categories, templates and event types; what is there already stays as staff left it."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Collection
from pathlib import Path

from django.db import transaction

from accounts.models import Organization
from castcomm.common.as_code.documents import Folder, parse
from castcomm.common.as_code.folders import read_folder
from castcomm.common.as_code.installing import Installed, install
from castcomm.common.as_code.kinds import kinds
from notifications.as_code import categories, event_types, templates
from notifications.services.catalog import catalog_of
from notifications.services.defaults import DIGEST, ensure_direct_event_type

FOLDER = Path(__file__).resolve().parents[1] / "ready_made"
_KINDS = (categories.Categories, templates.Templates, event_types.EventTypes)


@functools.cache
def ready_made() -> Folder:
    """What comes with CastComm: a folder such as ``manage.py castcomm_export`` writes."""
    return parse(read_folder(FOLDER), [kinds.get(kind.name) for kind in _KINDS])


def install_ready_made(*, organization: Organization, only: Collection[str] | None = None) -> list[Installed]:
    """Add what is missing, published; with ``only`` (``welcome``, ``templates/welcome``) that and what it refers to."""
    with transaction.atomic():
        done = install(organization=organization, folder=ready_made(), only=only)
        if only is None:
            ensure_direct_event_type(organization)
    return done


def ensure_digest_event_type(organization_id: uuid.UUID) -> None:
    """Make the event type of digests exist, with its category and template; one query where it does."""
    if DIGEST in catalog_of(organization_id).event_types:
        return
    with transaction.atomic():
        organization = Organization.objects.select_for_update(no_key=True).get(id=organization_id)
        install_ready_made(organization=organization, only=[f"event_types/{DIGEST}"])
