"""Say that a number may not be texted, and find quickly who texted a number that answers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_tracking_and_send_limits"),
        ("notifications", "0004_outgoing_webhooks"),
    ]

    operations = [
        migrations.AlterField(
            model_name="delivery",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("default", "The event type sends on this channel by default."),
                    ("requested", "The caller asked for this channel."),
                    ("critical", "It is critical: preferences and quiet hours do not hold it back."),
                    ("preferred", "The person turned this channel on."),
                    ("not_requested", "It does not use this channel."),
                    ("preference", "It was turned off in the preferences."),
                    ("quiet_hours", "The person's quiet hours: it waits until they end."),
                    ("quiet_hours_drop", "The person's quiet hours, and this event type does not wait."),
                    ("scheduled", "The caller asked for a later time."),
                    ("suppression", "The address is on the suppression list."),
                    ("region", "SMS to this country, or to this kind of number, are not allowed."),
                    ("no_address", "The person has no address for this channel."),
                    ("no_template", "There is no published content for this channel."),
                    ("rendering", "The template could not be rendered."),
                    ("expired", "It expired before it could be sent."),
                    ("cancelled", "It was cancelled."),
                    ("accepted", "The provider accepted it."),
                    ("in_inbox", "It is in the person's inbox."),
                    ("refused", "The provider refused it for good."),
                    ("retrying", "The provider did not take it; it will be tried again."),
                    ("exhausted", "It was tried as often as allowed."),
                    ("ambiguous", "The provider hung or broke off: it may or may not have arrived."),
                    (
                        "worker_lost",
                        "The worker died after the attempt began: it may or may not have arrived.",
                    ),
                    ("failover", "The provider refused it; the next one is tried."),
                    (
                        "same_provider",
                        "The provider broke off: it is asked again, with the same idempotency key.",
                    ),
                    ("rate_limited", "A limit per minute, hour or day was reached: it waits."),
                    ("breaker_open", "No provider account works at the moment: it waits."),
                    ("no_provider", "No provider account is configured for this channel."),
                    ("delivered", "The provider reports that it was delivered."),
                    ("opened", "It was opened."),
                    ("clicked", "A link in it was clicked."),
                    ("bounced", "The receiving side refused it."),
                    ("complained", "The recipient reported it as spam."),
                    ("unsubscribed", "The recipient unsubscribed."),
                    ("provider_failed", "The provider accepted it and reported later that it failed."),
                    ("recipient_inactive", "The person is no longer active in this organization."),
                    ("org_inactive", "The organization is not active."),
                ],
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("channel", "sms"), models.Q(("address_index", ""), _negated=True)),
                fields=["address_index"],
                name="delivery_sms_address",
            ),
        ),
    ]
