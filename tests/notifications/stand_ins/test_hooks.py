"""Slack's stand-in and the one of somebody's own webhook receiver."""

from __future__ import annotations

import requests

from notifications.stand_ins import StandIn


def test_slack_says_ok_or_what_is_wrong(server: StandIn) -> None:
    url = server.url("slack", "services/T0/B0/x")
    assert requests.post(url, json={"text": "Disk is full"}, timeout=5).text == "ok"
    assert requests.post(url, data={"payload": '{"text": "again"}'}, timeout=5).text == "ok"
    assert requests.post(url, json={"words": "x"}, timeout=5).text == "no_text"
    assert requests.post(url, data=b"{", timeout=5).text == "invalid_payload"
    assert [one.body["text"] for one in server.accepted("slack")] == ["Disk is full", "again"]
    assert server.accepted("slack")[0].to == "services/T0/B0/x"


def test_a_hook_keeps_the_bytes_that_were_signed(server: StandIn) -> None:
    content = b'{"type":  "delivery.moved"}'
    headers = {"webhook-id": "msg_1", "webhook-signature": "v1,abc"}
    for _ in range(2):
        assert requests.post(server.url("hook", "crm"), data=content, headers=headers, timeout=5).ok
    first, _ = server.accepted("hook")
    assert (first.to, first.content, first.body) == ("crm", content, {"type": "delivery.moved"})
    assert first.headers["webhook-signature"] == "v1,abc"
    assert server.duplicates("hook") == 1, "counted by webhook-id"
