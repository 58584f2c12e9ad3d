"""Every piece of periodic work of this app: whoever adds a task that Beat rings adds it here (docs/lifecycle.md)."""

from castcomm.common.schedules import Schedule

SCHEDULES = {
    "Deliveries: sweep": Schedule(
        task="notifications.tasks.sweep",
        every=1,
        queue="urgent",
        description="Rings for what is due and takes back what dead workers held.",
    ),
    "Webhooks: sweep": Schedule(
        task="notifications.tasks.sweep_webhooks",
        every=2,
        queue="urgent",
        description="Rings for what customers' endpoints are to be told.",
    ),
    "Webhooks: forget": Schedule(
        task="notifications.tasks.prune_webhooks",
        every=3600,
        queue="maintenance",
        description="Deletes outgoing webhooks after 30 days.",
    ),
    "Push: forget unused devices": Schedule(
        task="notifications.tasks.forget_unused_devices",
        every=604_800,
        queue="maintenance",
        description="Removes devices that have been silent for PUSH_UNUSED_DAYS.",
    ),
    "Idempotency keys: forget": Schedule(
        task="notifications.tasks.forget_idempotent_requests",
        every=3600,
        queue="maintenance",
        description="Deletes answers kept for Idempotency-Key after a day.",
    ),
    "Inbox: unsnooze": Schedule(
        task="notifications.tasks.unsnooze",
        every=20,
        queue="normal",
        description="Brings back what people put aside until now.",
    ),
    "Inbox: expire": Schedule(
        task="notifications.tasks.expire",
        every=300,
        queue="maintenance",
        description="Puts what has expired out of the inboxes, and gives up what waits of it.",
    ),
    "Inbox: archive": Schedule(
        task="notifications.tasks.archive",
        at="02:00",
        queue="maintenance",
        description="Archives what was read, or left unread, for as long as the retention policy says.",
    ),
    "Retention: delete": Schedule(
        task="notifications.tasks.prune",
        at="03:00",
        queue="maintenance",
        description="Deletes what is older than the retention policy says.",
    ),
    "Digests: close": Schedule(
        task="notifications.tasks.close_digests",
        every=20,
        queue="normal",
        description="Sends the digests whose time has come.",
    ),
}
