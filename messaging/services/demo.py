"""A conversation to look at in the demo organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.selectors import members_of
from castcomm.common.errors import NotFound
from messaging.models import Thread
from messaging.services.sending import send_message
from messaging.services.threads import create_thread

if TYPE_CHECKING:
    from accounts.models import Organization

ACTOR = "demo-actor@example.com"
DIRECTOR = "demo-director@example.com"
LINES = (
    (DIRECTOR, "Welcome to the demo. Could you read for the part of the lighthouse keeper on Thursday?"),
    (ACTOR, "With pleasure. Is there a scene I should prepare?"),
    (DIRECTOR, "The storm in act two. Two pages, no props needed."),
    (ACTOR, "Got it. See you on Thursday."),
)


def load(organization: Organization) -> Thread:
    """The direct thread of the demo actor and the demo director, with a few messages.

    Running it again changes nothing. Raises NotFound when one of them is not a member.
    """
    people = members_of(organization).filter(user__email__in=[ACTOR, DIRECTOR])
    ids = dict(people.values_list("user__email", "user_id"))
    if len(ids) < 2:
        raise NotFound(f"{ACTOR} and {DIRECTOR} must be members of {organization}.")
    thread, _ = create_thread(
        organization_id=organization.id, creator_id=ids[DIRECTOR], kind="direct", participants=[ids[ACTOR]]
    )
    for number, (sender, line) in enumerate(LINES, start=1):
        send_message(
            organization_id=organization.id,
            thread_id=thread.id,
            sender_id=ids[sender],
            content=line,
            client_id=f"demo-{organization.id}-{number}",
        )
    return thread
