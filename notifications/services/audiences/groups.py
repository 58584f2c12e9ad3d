"""Groups as recipients: the subscribers of a topic, the entries of a list, who has a role, a whole organization.

Their people are never listed as a whole: they are read in the order of their ids, a part at a time, each once however
many of the groups they are in. Who joined after ``before`` is not among them, and who has left is not either.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import Membership
from accounts.models.organizations import Role
from castcomm.common import sql
from castcomm.common.crypto import decrypt
from castcomm.common.errors import InvalidInput
from notifications.models import RecipientList, Topic

MAX_GROUPS = 20
KINDS = ("topic", "list", "role", "organization")
_NOBODY = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Group:
    """One group as it was named; the organization's key is empty. ``position`` is that among the recipients."""

    kind: str
    key: str
    position: int

    @property
    def stored(self) -> dict[str, Any]:
        """How it stands in ``Broadcast.audience``."""
        return {self.kind: self.key or True}


def split_recipients(recipients: Any) -> tuple[list[tuple[int, Any]], list[Group]]:
    """The people and addresses among the recipients with their positions, and the groups.

    Raises InvalidInput that names the position for a group of the wrong form, or one too many.
    """
    people: list[tuple[int, Any]] = []
    groups: dict[tuple[str, str], Group] = {}
    for position, given in enumerate(recipients):
        group = _group(position, given)
        if group is None:
            people.append((position, given))
            continue
        groups.setdefault((group.kind, group.key), group)
        if len(groups) > MAX_GROUPS:
            raise InvalidInput(f"At most {MAX_GROUPS} groups in one call.", attr=f"recipients.{position}")
    return people, list(groups.values())


def has_groups(recipients: Any) -> bool:
    """Whether any recipient is a group, as far as its form goes."""
    return any(isinstance(one, Mapping) and not one.keys().isdisjoint(KINDS) for one in recipients)


def _group(position: int, given: Any) -> Group | None:
    if not isinstance(given, Mapping) or given.keys().isdisjoint(KINDS):
        return None
    attr = f"recipients.{position}"
    if len(given) != 1:
        raise InvalidInput(f"Give one of {', '.join(KINDS)}, and nothing else.", attr=attr)
    ((kind, key),) = given.items()
    if kind == "organization":
        if key is not True:
            raise InvalidInput('The whole organization is {"organization": true}.', attr=attr)
        return Group(kind, "", position)
    if not isinstance(key, str) or not key or len(key) > 100 or "\x00" in key:
        raise InvalidInput(f"Name the {kind} by its key.", attr=attr)
    return Group(kind, key, position)


def check_groups(organization_id: uuid.UUID, groups: Sequence[Group]) -> None:
    """All of them must be there; raises InvalidInput that names the position of the first that is not."""
    for group in groups:
        if not _exists(organization_id, group):
            raise InvalidInput(
                _UNKNOWN[group.kind].format(group.key),
                attr=f"recipients.{group.position}",
                code="unknown_recipient",
            )


_UNKNOWN = {
    "topic": "There is no topic {!r}.",
    "list": "There is no list {!r}.",
    "role": f"Nobody has the role {{!r}}; the roles are {', '.join(Role.values)}.",
}


def _exists(organization_id: uuid.UUID, group: Group) -> bool:
    if group.kind == "topic":
        return Topic.objects.for_organization(organization_id).filter(key=group.key).exists()
    if group.kind == "list":
        return RecipientList.objects.for_organization(organization_id).filter(key=group.key).exists()
    if group.kind == "role":
        members = Membership.objects.for_organization(organization_id).filter(is_active=True)
        return members.filter(role=group.key).exists()
    return True


# Each part is read in the order of an index, and no further than it is needed.
_PEOPLE = {
    "topic": """
SELECT s.user_id FROM notifications_topicsubscription s
 WHERE s.topic_id = (SELECT id FROM notifications_topic WHERE organization_id = %(organization)s AND key = %({key})s)
   AND s.user_id > %(after)s AND s.created_at <= %(before)s""",
    "list": """
SELECT l.user_id FROM notifications_listmember l
 WHERE l.list_id = (
         SELECT id FROM notifications_recipientlist WHERE organization_id = %(organization)s AND key = %({key})s)
   AND l.user_id > %(after)s AND l.created_at <= %(before)s""",
    "role": """
SELECT r.user_id FROM accounts_membership r
 WHERE r.organization_id = %(organization)s AND r.role = %({key})s AND r.user_id > %(after)s AND r.is_active""",
    "organization": """
SELECT o.user_id FROM accounts_membership o
 WHERE o.organization_id = %(organization)s AND o.user_id > %(after)s AND o.is_active""",
}

_ADDRESSES = """
SELECT a.address_index, a.address FROM notifications_listmember a
 WHERE a.list_id = (
         SELECT id FROM notifications_recipientlist WHERE organization_id = %(organization)s AND key = %({key})s)
   AND a.user_id IS NULL AND a.address_index > %(after)s AND a.created_at <= %(before)s"""

# Members now, and before the call was made.
_MEMBERS = """
  JOIN accounts_membership m ON m.organization_id = %(organization)s AND m.user_id = found.user_id AND m.is_active
   AND m.created_at <= %(before)s
  JOIN accounts_user u ON u.id = m.user_id AND u.is_active"""


@dataclass(frozen=True, slots=True)
class Audience:
    """The groups of a broadcast, ``[{"topic": key}, …]``, as they are for members who were there ``before``."""

    organization_id: uuid.UUID
    groups: Sequence[Mapping[str, Any]]
    before: dt.datetime

    def people_after(self, after: uuid.UUID | None, limit: int) -> tuple[list[uuid.UUID], uuid.UUID | None]:
        """The next members, and after whom to go on: None when these were the last.

        At most ``limit``, in the order of their ids; it can be fewer, or none, with more to come.
        """
        parts = self._parts(_PEOPLE, " ORDER BY user_id LIMIT %(limit)s")
        if not parts:
            return [], None
        statement = f"""
WITH found AS (SELECT user_id FROM ({" UNION ".join(parts)}) AS parts ORDER BY user_id LIMIT %(limit)s)
SELECT found.user_id, members.user_id IS NOT NULL
  FROM found LEFT JOIN (SELECT found.user_id FROM found {_MEMBERS}) AS members USING (user_id)
 ORDER BY found.user_id"""  # noqa: S608 - constants only
        rows = sql.run(statement, {**self._params(), "after": after or _NOBODY, "limit": limit})
        members = [user_id for user_id, is_member in rows if is_member]
        return members, rows[-1][0] if len(rows) == limit else None

    def addresses_after(self, after: str, limit: int) -> tuple[list[str], str | None]:
        """The next bare addresses in the order of their indexes, and after which to go on: None after the last."""
        parts = self._parts({"list": _ADDRESSES}, " ORDER BY address_index LIMIT %(limit)s")
        if not parts:
            return [], None
        statement = f"""
SELECT DISTINCT ON (address_index) address_index, address FROM ({" UNION ALL ".join(parts)}) AS parts
 ORDER BY address_index LIMIT %(limit)s"""  # noqa: S608 - constants only
        rows = sql.run(statement, {**self._params(), "after": after, "limit": limit})
        return [decrypt(address) for _, address in rows], rows[-1][0] if len(rows) == limit else None

    def count(self) -> int:
        """How many there are now: members, and bare addresses (of which some may be a member's)."""
        total = 0
        if people := self._parts(_PEOPLE):
            statement = f"SELECT count(*) FROM ({' UNION '.join(people)}) AS found {_MEMBERS}"  # noqa: S608
            total += sql.run(statement, {**self._params(), "after": _NOBODY})[0][0]
        if addresses := self._parts({"list": _ADDRESSES}):
            statement = (
                f"SELECT count(DISTINCT address_index) FROM ({' UNION ALL '.join(addresses)}) AS found"  # noqa: S608
            )
            total += sql.run(statement, {**self._params(), "after": ""})[0][0]
        return total

    def _parts(self, by_kind: Mapping[str, str], end: str = "") -> list[str]:
        """A select for each group of these kinds; one for all when the whole organization is meant."""
        if "organization" in by_kind and any("organization" in group for group in self.groups):
            return [f"({by_kind['organization']}{end})"]
        return [
            f"({by_kind[kind].format(key=f'key{number}')}{end})"
            for number, group in enumerate(self.groups)
            for kind in group
            if kind in by_kind
        ]

    def _params(self) -> dict[str, Any]:
        keys = {f"key{number}": next(iter(group.values())) for number, group in enumerate(self.groups)}
        return {"organization": self.organization_id, "before": self.before, **keys}
