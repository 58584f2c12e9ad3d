"""The providers that have a stand-in."""

from __future__ import annotations

from notifications.stand_ins.far_side import FarSide
from notifications.stand_ins.fcm import FCM
from notifications.stand_ins.hook import Hook
from notifications.stand_ins.mailgun import Mailgun
from notifications.stand_ins.postmark import Postmark
from notifications.stand_ins.resend import Resend
from notifications.stand_ins.sendgrid import SendGrid
from notifications.stand_ins.ses import SES
from notifications.stand_ins.slack import Slack
from notifications.stand_ins.sns import SNS
from notifications.stand_ins.twilio import Twilio
from notifications.stand_ins.webpush import WebPush

_ALL: tuple[type[FarSide], ...] = (
    SendGrid,
    Mailgun,
    Resend,
    Postmark,
    SES,
    Twilio,
    SNS,
    FCM,
    WebPush,
    Slack,
    Hook,
)


def far_sides(*, keep: int) -> dict[str, FarSide]:
    """A fresh far side of each provider, by key."""
    return {side.key: side(keep=keep) for side in _ALL}
