"""A digest to look at: of what waits for a person, or an example; and the example as a mail."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import Conflict, InvalidInput
from notifications.models import DigestFrequency
from notifications.rendering.content import EmailText, render_email
from notifications.rendering.context import message_context, person_context
from notifications.rendering.sandbox import RenderingError
from notifications.services.catalog import catalog_of
from notifications.services.defaults import DIGEST
from notifications.services.digests.mail import context_of, waiting_sections
from notifications.services.digests.sections import Entry, Section
from notifications.services.mail_links import example_links
from notifications.services.ready_made import ensure_digest_event_type
from notifications.services.sending import SendResult, send_notification
from notifications.vocabulary import Channel

FREQUENCIES = tuple(one for one in DigestFrequency.values if one != DigestFrequency.INSTANT)


@dataclass(frozen=True, slots=True)
class Preview:
    """``is_example``: nothing waits, so it shows what a digest looks like."""

    email: EmailText
    count: int
    is_example: bool


def preview_digest(*, organization: Organization, user: User, frequency: str) -> Preview:
    """The mail that would go out if the person's digest closed now; nothing is sent or changed."""
    check_frequency(frequency)
    sections = waiting_sections(organization_id=organization.id, user_id=user.id, frequency=frequency)
    shown = sections or _example(current_time())
    email = _render(organization, user, shown, frequency, "")
    return Preview(email, sum(len(one.entries) for one in shown), not sections)


def send_test_digest(*, organization: Organization, to: str, user: User | None, frequency: str) -> SendResult:
    """Mail the example to an address or a member's id; ``user`` is whose names it has, if anybody's.

    It goes out whatever the preferences, as somebody has asked for it. Raises InvalidInput.
    """
    check_frequency(frequency)
    rendered = _render(organization, user, _example(current_time()), frequency, to)
    return send_notification(
        organization=organization,
        recipients=[user] if user is not None else [{"email": to}],
        event_type=DIGEST,
        content={"subject": f"[Test] {rendered.subject}", "html": rendered.html, "text": rendered.text},
        channels=[Channel.EMAIL.value],
        critical=True,
        source="test",
    )


def check_frequency(frequency: str) -> None:
    """Raises InvalidInput for one that has no digest."""
    if frequency not in FREQUENCIES:
        raise InvalidInput(f"One of {', '.join(FREQUENCIES)}.", attr="frequency")


def _render(
    organization: Organization, user: User | None, sections: Sequence[Section], frequency: str, to: str
) -> EmailText:
    ensure_digest_event_type(organization.id)
    kind = catalog_of(organization.id).event_types[DIGEST]
    locale = user.locale if user else organization.locale
    content = kind.template.content_for(locale, organization.locale) if kind.template else None
    if content is None or Channel.EMAIL not in content.channels():
        raise Conflict("The template of digests has nothing published for e-mail.", code="no_template")
    person = person_context(
        user_id=str(user.id) if user else "",
        email=user.email if user else to,
        first_name=user.first_name if user else "",
        last_name=user.last_name if user else "",
        locale=locale,
        time_zone=user.time_zone if user else "UTC",
        attributes=user.attributes if user else {},
    )
    context = message_context(
        data=context_of(sections, frequency=frequency, zone=person["time_zone"], locale=locale),
        user=person,
        organization_name=organization.name,
        event_key=kind.key,
        event_name=kind.name,
        notification_id="",
        **example_links(),
    )
    try:
        return render_email(content, context)
    except RenderingError as error:
        raise Conflict(
            f"The template of digests cannot be filled in: {error}", code="template_error"
        ) from error


def _example(now: dt.datetime) -> list[Section]:
    def entry(hours: int, title: str) -> Entry:
        body = "This is an example: here stands what the notification says."
        return Entry(title, body, "/inbox/", now - dt.timedelta(hours=hours))

    return [
        Section("Activity", [entry(5, "A first example"), entry(3, "A second example")]),
        Section("General", [entry(1, "A third example")]),
    ]
