"""What a person's preferences come to: for each event type and channel routing's own answer, in words."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from notifications.services.catalog import Catalog, EventTypeFacts, catalog_of
from notifications.services.planning import routing_facts
from notifications.services.recipients import OrganizationFacts, Person, load_people, parse_recipients
from notifications.services.routing import Action, Decision, Switch, decide, deciding_switch
from notifications.vocabulary import Channel, Reason

# Reasons that say that a switch did not come into it.
_PAST_SWITCHES = frozenset(
    {Reason.NO_TEMPLATE, Reason.NO_ADDRESS, Reason.SUPPRESSION, Reason.CRITICAL, Reason.NOT_REQUESTED}
)


def effective_preferences(*, organization: Organization, user: User) -> list[dict[str, Any]]:
    """A cell for each active event type and channel: would it reach the person (now or later), and why.

    ``set_by`` (person, organization) and ``scope`` say whose switch decided, null when none did; ``until`` is when it
    would go out if not at once; ``locked`` says that no switch can change it.
    """
    facts, [person] = load_people(organization.id, parse_recipients([user]))
    catalog = catalog_of(organization.id, revision=facts.catalog_revision)
    kinds = sorted(catalog.event_types.values(), key=lambda one: one.key)
    return [
        cell
        for kind in kinds
        if kind.is_active
        for cell in _cells_of(kind, person=person, facts=facts, catalog=catalog)
    ]


def _cells_of(
    kind: EventTypeFacts, *, person: Person, facts: OrganizationFacts, catalog: Catalog
) -> list[dict[str, Any]]:
    known = routing_facts(person, kind, catalog)
    content = kind.template.content_for(person.locale, facts.locale) if kind.template else None
    contents = content.channels() if content else frozenset(Channel.values)
    decided = decide(event=kind.routing, person=known, contents=contents, now=current_time())
    by_channel = {one.channel: one for one in decided}
    return [
        {
            "event_type": kind.key,
            "category": kind.category_key,
            "channel": channel,
            **_answer(by_channel.get(channel), deciding_switch(known.switches, channel)),
        }
        for channel in Channel.values
    ]


def _answer(decision: Decision | None, switch: Switch | None) -> dict[str, Any]:
    reason = decision.reason if decision is not None else Reason.NOT_REQUESTED
    decides = switch is not None and reason not in _PAST_SWITCHES
    return {
        "effective": decision is not None and decision.action != Action.SUPPRESS,
        "reason": reason.value,
        "sentence": reason.label,
        "set_by": ("person" if switch.is_personal else "organization") if switch and decides else None,
        "scope": switch.scope if switch and decides else None,
        "until": decision.detail.get("until") if decision is not None else None,
        "locked": reason in (Reason.CRITICAL, Reason.NO_TEMPLATE),
    }
