"""The person's side: digests, caps, smart send time, topics, lists, broadcasts, consents, retention; the inbox's tags."""

import castcomm.common.clock
import castcomm.common.fields
import castcomm.common.ids
import datetime
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.comparison
import notifications.models.engagement
import uuid
from django.conf import settings
from django.db import migrations, models


def forget_hours_of_channels(apps, schema_editor):
    """Without channels there is one row per person."""
    apps.get_model("notifications", "QuietHours").objects.exclude(channel="").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_tracking_and_send_limits"),
        ("notifications", "0006_sms_reasons"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Broadcast",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                ("audience", models.JSONField()),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("people", "People"),
                            ("addresses", "Bare addresses"),
                            ("finished", "Finished"),
                        ],
                        default="people",
                        max_length=9,
                    ),
                ),
                (
                    "after",
                    models.CharField(
                        blank=True, help_text="The last recipient that was written.", max_length=36
                    ),
                ),
                ("total", models.PositiveIntegerField(help_text="How many there were when it was accepted.")),
                (
                    "written",
                    models.PositiveIntegerField(default=0, help_text="Notifications written so far."),
                ),
                (
                    "lease_until",
                    models.DateTimeField(help_text="Not looked at before: a chunk failed.", null=True),
                ),
                (
                    "tries",
                    models.PositiveSmallIntegerField(default=0, help_text="Failures of the present chunk."),
                ),
                ("paused_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="CapCounter",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "channel",
                    models.CharField(
                        choices=[("in_app", "In-app"), ("email", "E-mail"), ("sms", "SMS"), ("push", "Push")],
                        max_length=10,
                    ),
                ),
                ("period", models.CharField(choices=[("hour", "Hour"), ("day", "Day")], max_length=4)),
                ("began_at", models.DateTimeField()),
                ("count", models.PositiveIntegerField(default=0)),
                ("previous", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="ConsentRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "address_index",
                    models.CharField(blank=True, help_text="Of a bare address.", max_length=32),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("global", "Everything"),
                            ("category", "A category"),
                            ("event_type", "An event type"),
                            ("topic", "A topic"),
                        ],
                        max_length=10,
                    ),
                ),
                ("key", models.CharField(blank=True, max_length=100)),
                (
                    "channel",
                    models.CharField(
                        blank=True,
                        choices=[("in_app", "In-app"), ("email", "E-mail"), ("sms", "SMS"), ("push", "Push")],
                        max_length=10,
                    ),
                ),
                ("granted", models.BooleanField(help_text="Empty: the choice was taken away.", null=True)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("signed_in", "The person, signed in"),
                            ("signed_link", "The person, by the link in a mail"),
                            ("one_click", "The mail program (RFC 8058)"),
                            ("sms_reply", "A reply by SMS"),
                            ("api", "A server, through the API"),
                            ("staff", "Staff"),
                            ("import", "An import"),
                        ],
                        max_length=11,
                    ),
                ),
                ("wording", models.TextField(blank=True)),
                ("locale", models.CharField(blank=True, max_length=16)),
                ("ip_address", castcomm.common.fields.EncryptedTextField(blank=True)),
                ("user_agent", models.CharField(blank=True, max_length=400)),
                ("delivery_id", models.UUIDField(help_text="The mail whose link was used.", null=True)),
                ("seal", models.CharField(editable=False, max_length=64)),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="DigestItem",
            fields=[
                (
                    "delivery",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="digest_item",
                        serialize=False,
                        to="notifications.delivery",
                    ),
                ),
                ("position", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="DigestSetting",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "frequency",
                    models.CharField(
                        choices=[
                            ("instant", "At once"),
                            ("hourly", "Every hour"),
                            ("daily", "Every day"),
                            ("weekly", "Every week"),
                        ],
                        max_length=7,
                    ),
                ),
                ("at", models.TimeField(default=datetime.time(9, 0))),
                (
                    "weekday",
                    models.PositiveSmallIntegerField(
                        default=0, validators=[django.core.validators.MaxValueValidator(6)]
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="DigestWindow",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                ("cadence", models.CharField(max_length=20)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Collecting"),
                            ("sent", "Sent"),
                            ("empty", "Nothing was left to send"),
                        ],
                        default="open",
                        max_length=5,
                    ),
                ),
                (
                    "zone",
                    models.CharField(
                        help_text="The time zone that closes_at was computed in.", max_length=64
                    ),
                ),
                ("closes_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                ("item_count", models.PositiveIntegerField(default=0)),
                (
                    "sent_count",
                    models.PositiveIntegerField(
                        help_text="Items that were left when it closed, and went out.", null=True
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EngagementHistogram",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "counts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveIntegerField(),
                        default=notifications.models.engagement.no_engagement,
                        size=168,
                    ),
                ),
                ("total", models.PositiveIntegerField(default=0)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="FrequencyCap",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "channel",
                    models.CharField(
                        blank=True,
                        choices=[("email", "E-mail"), ("sms", "SMS"), ("push", "Push")],
                        help_text="Empty: all of them together.",
                        max_length=10,
                    ),
                ),
                ("period", models.CharField(choices=[("hour", "Hour"), ("day", "Day")], max_length=4)),
                (
                    "limit",
                    models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)]),
                ),
                (
                    "overflow",
                    models.CharField(
                        choices=[
                            ("digest", "Goes into the digest"),
                            ("defer", "Waits until there is room"),
                            ("drop", "Is not sent"),
                        ],
                        default="digest",
                        max_length=6,
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["channel", "period"],
            },
        ),
        migrations.CreateModel(
            name="LifecycleJob",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("lease_until", models.DateTimeField(null=True)),
                ("lease_token", models.UUIDField(editable=False, null=True)),
                ("cursor", models.CharField(blank=True, max_length=64)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "changed",
                    models.PositiveIntegerField(default=0, help_text="Rows that the last run changed."),
                ),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ListMember",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                ("address", castcomm.common.fields.EncryptedTextField(blank=True)),
                ("address_index", models.CharField(blank=True, editable=False, max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="RecipientList",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "key",
                    models.CharField(
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?$",
                                "Use lower-case letters, digits, dots, hyphens and underscores.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="RetentionPolicy",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "archive_read_after",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Days after which what was read goes into the archive.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "archive_unread_after",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Days after which what nobody read goes into the archive.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "keep_archived",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Days for which the archive is kept.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "keep_notifications",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Days after which a notification is deleted with its deliveries, whatever its state.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "keep_events",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Days for which providers' reports are kept.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name_plural": "retention policies",
            },
        ),
        migrations.CreateModel(
            name="SmartSendPolicy",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                ("is_enabled", models.BooleanField(default=False, verbose_name="enabled")),
                (
                    "max_wait_hours",
                    models.PositiveSmallIntegerField(
                        default=24,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(168),
                        ],
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "smart send policies",
            },
        ),
        migrations.CreateModel(
            name="Topic",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "key",
                    models.CharField(
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?$",
                                "Use lower-case letters, digits, dots, hyphens and underscores.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True)),
                (
                    "is_open",
                    models.BooleanField(
                        default=True,
                        help_text="People may subscribe themselves; otherwise only staff and servers do it.",
                        verbose_name="open",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="TopicSubscription",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=castcomm.common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=castcomm.common.clock.now, editable=False)),
                (
                    "source",
                    models.CharField(
                        blank=True, help_text="Who did it: person, link, api, admin.", max_length=20
                    ),
                ),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="quiethours",
            name="quiet_hours_once",
        ),
        migrations.RemoveIndex(
            model_name="notification",
            name="notification_unread",
        ),
        migrations.AddField(
            model_name="category",
            name="requires_consent",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Nothing of it leaves the inbox for a person who has not turned it on.",
            ),
        ),
        migrations.AddField(
            model_name="eventtype",
            name="is_cap_exempt",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Neither counted nor held back by frequency caps.",
                verbose_name="exempt from caps",
            ),
        ),
        migrations.AddField(
            model_name="eventtype",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                blank=True,
                db_default=[],
                default=list,
                help_text="Tags in the inbox, besides those that the caller gives.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="actions",
            field=models.JSONField(
                help_text='Buttons: [{"key", "label", "url", "style"}]; null means none.', null=True
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="actions_done",
            field=models.JSONField(help_text="Keys of the buttons that were used, and when.", null=True),
        ),
        migrations.AddField(
            model_name="notification",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40), help_text="Null means none.", null=True, size=None
            ),
        ),
        migrations.AddField(
            model_name="notificationrequest",
            name="scheduled_local",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Each recipient's own time, without a zone: 2026-12-24T09:00.",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="notificationrequest",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                help_text="Tags in the inbox; null means none.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="quiethours",
            name="channel",
            field=models.CharField(
                blank=True,
                choices=[("in_app", "In-app"), ("email", "E-mail"), ("sms", "SMS"), ("push", "Push")],
                db_default="",
                default="",
                help_text="Empty: all of them.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="templatecontent",
            name="in_app_actions",
            field=models.JSONField(
                blank=True,
                db_default=[],
                default=list,
                help_text='Buttons in the inbox: [{"key", "label", "url", "style": "primary" or "secondary"}]; label and url are Jinja2.',
            ),
        ),
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
                    ("local_time", "The caller asked for a time in the recipient's own time zone."),
                    ("smart_time", "It waits for an hour at which the person usually reads."),
                    ("digest", "The person gets this kind of news in a digest."),
                    ("digested", "It went out in a digest."),
                    ("read_meanwhile", "It was read before the digest went out."),
                    (
                        "cap",
                        "The person has had as much as the organization allows: it goes into the digest.",
                    ),
                    ("cap_wait", "The person has had as much as the organization allows: it waits."),
                    (
                        "cap_drop",
                        "The person has had as much as the organization allows, and the rest is not sent.",
                    ),
                    ("no_consent", "This kind of news needs the person's consent, which was not given."),
                    ("paused", "Its broadcast is paused."),
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
        migrations.AlterField(
            model_name="delivery",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("deferred", "Deferred"),
                    ("in_digest", "Waiting for a digest"),
                    ("paused", "Paused"),
                    ("sending", "Sending"),
                    ("unknown", "Unknown"),
                    ("sent", "Sent"),
                    ("digested", "Sent in a digest"),
                    ("delivered", "Delivered"),
                    ("opened", "Opened"),
                    ("clicked", "Clicked"),
                    ("bounced", "Bounced"),
                    ("complained", "Complained"),
                    ("failed", "Failed"),
                    ("suppressed", "Suppressed"),
                    ("cancelled", "Cancelled"),
                    ("dead", "Dead letter"),
                ],
                default="pending",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="notificationrequest",
            name="status",
            field=models.CharField(
                choices=[
                    ("fanning_out", "Being split into notifications"),
                    ("paused", "Paused"),
                    ("done", "All notifications written"),
                    ("cancelled", "Cancelled"),
                    ("incomplete", "Some parts could not be written"),
                ],
                default="done",
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(
                    ("archived_at__isnull", True), ("inbox_seq__isnull", False), ("read_at__isnull", True)
                ),
                fields=["organization", "user", "-created_at", "-id"],
                include=("seen_at", "snoozed_until", "expires_at"),
                name="notification_unread",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("snoozed_until__isnull", False)),
                fields=["snoozed_until"],
                name="notification_snoozed",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(
                    ("archived_at__isnull", True), ("expires_at__isnull", False), ("inbox_seq__isnull", False)
                ),
                fields=["expires_at"],
                name="notification_expiring",
            ),
        ),
        migrations.AddConstraint(
            model_name="quiethours",
            constraint=models.UniqueConstraint(
                fields=("organization", "user", "channel"), name="quiet_hours_once"
            ),
        ),
        migrations.AddField(
            model_name="broadcast",
            name="organization",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.organization",
            ),
        ),
        migrations.AddField(
            model_name="broadcast",
            name="paused_by",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="broadcast",
            name="request",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="broadcast",
                to="notifications.notificationrequest",
            ),
        ),
        migrations.AddField(
            model_name="capcounter",
            name="organization",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.organization",
            ),
        ),
        migrations.AddField(
            model_name="capcounter",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="consentrecord",
            name="actor",
            field=models.ForeignKey(
                help_text="Who did it for them.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="consentrecord",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
            ),
        ),
        migrations.AddField(
            model_name="consentrecord",
            name="user",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="consents",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="digestsetting",
            name="category",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="notifications.category",
            ),
        ),
        migrations.AddField(
            model_name="digestsetting",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
            ),
        ),
        migrations.AddField(
            model_name="digestsetting",
            name="user",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="digest_settings",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="digestwindow",
            name="notification",
            field=models.OneToOneField(
                help_text="The digest itself, once it was sent.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="digest_window",
                to="notifications.notification",
            ),
        ),
        migrations.AddField(
            model_name="digestwindow",
            name="organization",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.organization",
            ),
        ),
        migrations.AddField(
            model_name="digestwindow",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="digest_windows",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="digestitem",
            name="window",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="notifications.digestwindow",
            ),
        ),
        migrations.AddField(
            model_name="engagementhistogram",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
            ),
        ),
        migrations.AddField(
            model_name="engagementhistogram",
            name="user",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="frequencycap",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
            ),
        ),
        migrations.AddField(
            model_name="listmember",
            name="user",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="recipientlist",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
            ),
        ),
        migrations.AddField(
            model_name="listmember",
            name="list",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="notifications.recipientlist",
            ),
        ),
        migrations.AddField(
            model_name="retentionpolicy",
            name="organization",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="retention_policy",
                to="accounts.organization",
            ),
        ),
        migrations.AddField(
            model_name="smartsendpolicy",
            name="organization",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="smart_send_policy",
                to="accounts.organization",
            ),
        ),
        migrations.AddField(
            model_name="topic",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.organization"
            ),
        ),
        migrations.AddField(
            model_name="topicsubscription",
            name="topic",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="subscriptions",
                to="notifications.topic",
            ),
        ),
        migrations.AddField(
            model_name="topicsubscription",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="topic_subscriptions",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="broadcast",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True)),
                fields=["created_at"],
                name="broadcast_unfinished",
            ),
        ),
        migrations.AddIndex(
            model_name="broadcast",
            index=models.Index(fields=["organization", "-created_at"], name="broadcast_recent"),
        ),
        migrations.AddConstraint(
            model_name="capcounter",
            constraint=models.UniqueConstraint(
                fields=("organization", "user", "channel", "period"), name="cap_counter_once"
            ),
        ),
        migrations.AddIndex(
            model_name="consentrecord",
            index=models.Index(
                condition=models.Q(("address_index", ""), _negated=True),
                fields=["organization", "address_index", "-id"],
                name="consent_of_address",
            ),
        ),
        migrations.AddIndex(
            model_name="digestsetting",
            index=models.Index(
                condition=models.Q(("user__isnull", False)), fields=["user"], name="digest_setting_of_person"
            ),
        ),
        migrations.AddConstraint(
            model_name="digestsetting",
            constraint=models.UniqueConstraint(
                models.F("organization"),
                django.db.models.functions.comparison.Coalesce(
                    "user",
                    models.Value(
                        uuid.UUID("00000000-0000-0000-0000-000000000000"), output_field=models.UUIDField()
                    ),
                ),
                django.db.models.functions.comparison.Coalesce(
                    "category",
                    models.Value(
                        uuid.UUID("00000000-0000-0000-0000-000000000000"), output_field=models.UUIDField()
                    ),
                ),
                name="digest_setting_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="digestsetting",
            constraint=models.CheckConstraint(
                condition=models.Q(("weekday__lte", 6)), name="digest_setting_weekday"
            ),
        ),
        migrations.AddIndex(
            model_name="digestwindow",
            index=models.Index(
                condition=models.Q(("status", "open")), fields=["closes_at"], name="digest_window_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="digestwindow",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "open")),
                fields=("organization", "user", "cadence"),
                name="digest_window_one_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="digestitem",
            constraint=models.UniqueConstraint(fields=("window", "position"), name="digest_item_place_once"),
        ),
        migrations.AddConstraint(
            model_name="engagementhistogram",
            constraint=models.UniqueConstraint(
                models.F("organization"),
                django.db.models.functions.comparison.Coalesce(
                    "user",
                    models.Value(
                        uuid.UUID("00000000-0000-0000-0000-000000000000"), output_field=models.UUIDField()
                    ),
                ),
                name="engagement_histogram_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="frequencycap",
            constraint=models.UniqueConstraint(
                fields=("organization", "channel", "period"), name="frequency_cap_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="frequencycap",
            constraint=models.CheckConstraint(
                condition=models.Q(("limit__gte", 1)), name="frequency_cap_at_least_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="recipientlist",
            constraint=models.UniqueConstraint(
                fields=("organization", "key"), name="recipient_list_key_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="listmember",
            constraint=models.UniqueConstraint(
                condition=models.Q(("user__isnull", False)),
                fields=("list", "user"),
                name="list_member_person_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="listmember",
            constraint=models.UniqueConstraint(
                condition=models.Q(("user__isnull", True)),
                fields=("list", "address_index"),
                name="list_member_address_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="listmember",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("address_index", ""), ("user__isnull", False)),
                    models.Q(("user__isnull", True), models.Q(("address_index", ""), _negated=True)),
                    _connector="OR",
                ),
                name="list_member_is_one_of_both",
            ),
        ),
        migrations.AddConstraint(
            model_name="smartsendpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_wait_hours__gte", 1), ("max_wait_hours__lte", 168)),
                name="smart_send_wait_within_week",
            ),
        ),
        migrations.AddConstraint(
            model_name="topic",
            constraint=models.UniqueConstraint(fields=("organization", "key"), name="topic_key_once"),
        ),
        migrations.AddConstraint(
            model_name="topicsubscription",
            constraint=models.UniqueConstraint(fields=("topic", "user"), name="topic_subscription_once"),
        ),
        # Last, so that the way back begins with it.
        migrations.RunPython(migrations.RunPython.noop, forget_hours_of_channels),
    ]
