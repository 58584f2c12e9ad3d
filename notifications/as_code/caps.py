"""Frequency caps as files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register
from notifications.as_code.rows import ON, object_of
from notifications.models import FrequencyCap
from notifications.models.caps import CapOverflow, CapPeriod
from notifications.services.caps.editing import MAX_LIMIT, CapChange, delete_cap, set_cap
from notifications.services.caps.room import EXTERNAL

ALL = "all"


@register
class Caps(Kind):
    """``caps.yaml``: by channel (or ``all`` together) and period, such as ``email/hour``."""

    name = "caps"
    position = 40
    key_pattern = re.compile(rf"(?:{'|'.join((ALL, *EXTERNAL))})/(?:{'|'.join(CapPeriod.values)})")
    schema = object_of(
        {
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            "overflow": {"enum": CapOverflow.values, "default": CapOverflow.DIGEST.value},
            "is_active": ON,
        },
        "limit",
    )

    def current(self, organization: Organization) -> Mapping[str, Document]:
        return {
            f"{row.channel or ALL}/{row.period}": Document(
                {name: getattr(row, name) for name in self.schema["properties"]}
            )
            for row in FrequencyCap.objects.for_organization(organization)
        }

    def save(self, organization: Organization, key: str, document: Document) -> None:
        channel, period = _place(key)
        change = CapChange(channel=channel, period=period, **self.full(document))
        set_cap(organization=organization, change=change)

    def delete(self, organization: Organization, key: str) -> None:
        channel, period = _place(key)
        delete_cap(organization=organization, channel=channel, period=period)


def _place(key: str) -> tuple[str, str]:
    channel, period = key.split("/")
    return "" if channel == ALL else channel, period
