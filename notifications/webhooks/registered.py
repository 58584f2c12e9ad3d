"""Every webhook that CastComm understands: whoever adds a provider adds its file here."""

from notifications.webhooks import amazon_ses, checks, mailgun, postmark, resend, sendgrid, twilio

__all__ = ["amazon_ses", "checks", "mailgun", "postmark", "resend", "sendgrid", "twilio"]
