"""An organization's switches for everybody, as files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from accounts.models import Organization
from castcomm.common.as_code.kinds import Document, Kind, register
from notifications.as_code.rows import KEY_TEXT, object_of
from notifications.models import Preference, PreferenceScope
from notifications.services.preferences import Change, set_switches
from notifications.vocabulary import Channel

EVERYTHING = "everything"
CATEGORY = PreferenceScope.CATEGORY.value
EVENT_TYPE = PreferenceScope.EVENT_TYPE.value
ALL = "all"
_CHANNELS = {ALL: "", **{name: name for name in Channel.values}}


@register
class Preferences(Kind):
    """``preferences.yaml``: for ``everything``, ``category/KEY`` and ``event_type/KEY`` each channel on or off.

    ``all`` stands for the channels that are not named; one that is named nowhere follows the event type.
    """

    name = "preferences"
    position = 60
    key_pattern = re.compile(rf"{EVERYTHING}|(?:{CATEGORY}|{EVENT_TYPE})/{KEY_TEXT}")
    schema = object_of({name: {"type": "boolean"} for name in _CHANNELS})

    def current(self, organization: Organization) -> Mapping[str, Document]:
        rows = Preference.objects.for_organization(organization).filter(user=None)
        switches: dict[str, dict[str, bool]] = {}
        for row in rows.select_related("category", "event_type"):
            about = row.category or row.event_type
            key = f"{row.scope}/{about.key}" if about else EVERYTHING
            switches.setdefault(key, {})[row.channel or ALL] = row.enabled
        return {key: Document(fields) for key, fields in switches.items()}

    def save(self, organization: Organization, key: str, document: Document) -> None:
        scope, _, about = key.partition("/")
        if scope == EVERYTHING:
            scope = PreferenceScope.GLOBAL.value
        changes = [
            Change(scope, about, channel, document.fields.get(name)) for name, channel in _CHANNELS.items()
        ]
        set_switches(organization=organization, user=None, changes=changes)

    def delete(self, organization: Organization, key: str) -> None:
        self.save(organization, key, Document({}))
