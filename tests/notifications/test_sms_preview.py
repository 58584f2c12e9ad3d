"""Where staff and callers see what an SMS costs before it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from accounts.models import User

from .admin_pages import page_of, text_of


def test_the_editors_preview_counts_segments(desk: Client, make_template: Callable[..., Any]) -> None:
    plain = make_template("plain", sms="Your table is booked.")
    costly = make_template("costly", sms="Your table’s booked " + "🙂" * 40)

    assert "GSM-7, 21 characters, 1 segment of 160" in text_of(desk, page_of(plain, "preview"))
    shown = text_of(desk, page_of(costly, "preview"))
    assert "UCS-2, 100 characters, 2 segments of 67" in shown
    assert "Not in the GSM alphabet: ’ (U+2019), 🙂 (U+1F642)." in shown


def test_the_apis_preview_counts_segments(
    api_client: Callable[..., Any], staff: User, make_template: Callable[..., Any]
) -> None:
    client = api_client(staff)
    costly = make_template("costly", sms="Your table’s booked")
    silent = make_template("silent", in_app_title="Nothing by SMS")

    shown = client.post(f"/api/v1/templates/{costly.id}/preview", {}).json()
    assert shown["sms_segments"] == {
        "encoding": "UCS-2",
        "characters": 19,
        "segments": 1,
        "per_segment": 70,
        "because": ["’"],
    }
    assert client.post(f"/api/v1/templates/{silent.id}/preview", {}).json()["sms_segments"] is None
