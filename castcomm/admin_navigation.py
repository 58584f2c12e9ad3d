"""The sidebar of the admin: one group per app, made from what is registered and what this person may see."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

# In the order of the work; other apps (schedules, sign-in records) follow under "Maintenance".
_GROUPS = {
    "notifications": "Notifications",
    "messaging": "Conversations",
    "workflows": "Workflows",
    "accounts": "People",
}
_ICONS = {
    "accounts.user": "person",
    "accounts.organization": "apartment",
    "accounts.membership": "group",
    "accounts.apikey": "key",
    "notifications.notification": "notifications",
    "notifications.delivery": "outgoing_mail",
    "notifications.template": "draft",
    "notifications.eventtype": "category",
    "notifications.category": "folder",
    "notifications.notificationrequest": "send",
    "notifications.preference": "tune",
    "notifications.consentrecord": "how_to_reg",
    "notifications.pushsubscription": "devices",
    "notifications.quiethours": "bedtime",
    "notifications.suppression": "block",
    "notifications.providerevent": "receipt_long",
    "notifications.provideraccount": "cell_tower",
    "notifications.broadcast": "campaign",
    "notifications.topic": "tag",
    "notifications.recipientlist": "groups",
    "notifications.digestwindow": "newsmode",
    "notifications.digestsetting": "schedule",
    "notifications.frequencycap": "speed",
    "notifications.smartsendpolicy": "auto_awesome",
    "notifications.engagementhistogram": "bar_chart",
    "notifications.webhookendpoint": "webhook",
    "notifications.webhookdelivery": "output",
    "messaging.thread": "forum",
    "messaging.message": "chat",
    "workflows.workflow": "account_tree",
    "workflows.execution": "play_circle",
}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups and links of the sidebar, in unfold's form."""
    by_app: dict[str, list[dict[str, Any]]] = {}
    for app in admin.site.get_app_list(request):
        group = app["app_label"] if app["app_label"] in _GROUPS else ""
        by_app.setdefault(group, []).extend(_links(app))
    titles = {**_GROUPS, "": "Maintenance"}
    return [
        {"title": title, "separator": True, "collapsible": label == "", "items": by_app[label]}
        for label, title in titles.items()
        if by_app.get(label)
    ]


def _links(app: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "title": model["name"],
            "icon": _ICONS.get(f"{app['app_label']}.{model['object_name'].lower()}", "chevron_right"),
            "link": model["admin_url"],
        }
        for model in app["models"]
        if model["admin_url"]
    ]
