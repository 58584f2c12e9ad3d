"""The digests of people who have not chosen any, as files."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register
from notifications.as_code.preferences import CATEGORY, EVERYTHING
from notifications.as_code.rows import KEY_TEXT, object_of
from notifications.models import DigestFrequency, DigestSetting
from notifications.services.digests.settings import Change, set_digests


@register
class Digests(Kind):
    """``digests.yaml``: for ``everything`` and by ``category/KEY``; ``at`` and ``weekday`` (Monday is 0) are local."""

    name = "digests"
    position = 50
    key_pattern = re.compile(rf"{EVERYTHING}|{CATEGORY}/{KEY_TEXT}")
    schema = object_of(
        {
            "frequency": {"enum": DigestFrequency.values},
            "at": {"type": "string", "pattern": r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z", "default": "09:00"},
            "weekday": {"type": "integer", "minimum": 0, "maximum": 6, "default": 0},
        },
        "frequency",
    )

    def current(self, organization: Organization) -> Mapping[str, Document]:
        rows = (
            DigestSetting.objects.for_organization(organization).filter(user=None).select_related("category")
        )
        return {
            f"{CATEGORY}/{row.category.key}" if row.category else EVERYTHING: Document(
                {"frequency": row.frequency, "at": f"{row.at:%H:%M}", "weekday": row.weekday}
            )
            for row in rows
        }

    def save(self, organization: Organization, key: str, document: Document) -> None:
        fields = self.full(document)
        at = dt.time.fromisoformat(fields["at"])
        change = Change(key.partition("/")[2], fields["frequency"], at, fields["weekday"])
        set_digests(organization=organization, user=None, changes=[change])

    def delete(self, organization: Organization, key: str) -> None:
        change = Change(key.partition("/")[2], None, None, None)
        set_digests(organization=organization, user=None, changes=[change])
