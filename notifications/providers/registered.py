"""Every provider that CastComm knows: whoever adds a provider adds its file here. Each registers itself."""

from castcomm.monitoring.checks import expect_choice
from notifications.providers import console
from notifications.providers.base import email_providers, push_providers, sms_providers
from notifications.providers.email import amazon_ses, mailgun, postmark, resend, sendgrid, smtp
from notifications.providers.push import devices  # which registers the kinds of push with it
from notifications.providers.sms import amazon_sns, twilio

__all__ = [
    "amazon_ses",
    "amazon_sns",
    "console",
    "devices",
    "expect_known_names",
    "mailgun",
    "postmark",
    "resend",
    "sendgrid",
    "smtp",
    "twilio",
]


def expect_known_names() -> None:
    """Let ``manage.py check`` refuse a setting that names a provider which does not exist."""
    expect_choice("EMAIL_PROVIDER", email_providers.keys, number="E020")
    expect_choice("EMAIL_PRIMARY_PROVIDER", email_providers.keys, number="E019")
    expect_choice("SMS_PROVIDER", sms_providers.keys, number="E021")
    expect_choice("PUSH_PROVIDER", push_providers.keys, number="E022")
