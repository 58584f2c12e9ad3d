"""Whether an account may lead to a stand-in instead of its provider: in development, in tests and in benchmarks."""

from __future__ import annotations

from django.conf import settings

# The field that names another address than the provider's own: whoever sets it decides where messages and keys go.
FAR_SIDE = "api_url"


def stand_ins_are_allowed() -> bool:
    return bool(settings.DEBUG or settings.PROVIDER_STAND_INS)
