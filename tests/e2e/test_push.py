"""Push in a real browser: asked for on request alone, shown by the real service worker, clicked, and given up.

No browser can reach a push service on loopback. So ``PushManager.subscribe`` is a stub that gives the stand-in's
address and keys; the stand-in decrypts what arrives with that device's key, as a browser would; and that very text is
handed to the real worker over the DevTools protocol (``ServiceWorker.deliverPushMessage``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import CDPSession, Page, Worker, expect

from accounts.models import Organization, User
from notifications.models import Delivery, Notification, PushSubscription
from notifications.services import breakers, dispatch, provider_accounts, push_subscriptions, vapid
from notifications.services.sending import send_notification
from notifications.stand_ins import Device, StandIn, stand_in
from notifications.vocabulary import Priority
from tests.e2e.conftest import PHONE, OpenPage, wait_until
from tests.e2e.site import Site
from tests.e2e.test_accessibility import settled, violations, widths

# The subscription and the permission outlive a page, as real ones do.
STUB = """
(() => {
  const KEPT = "test.subscription";
  const given = %(given)s;
  const make = () => ({
    endpoint: given.endpoint,
    options: { userVisibleOnly: true, applicationServerKey: null },
    toJSON: () => given,
    unsubscribe: async () => { localStorage.removeItem(KEPT); return true; },
  });
  PushManager.prototype.subscribe = async function (options) {
    if (!options.userVisibleOnly || options.applicationServerKey.length !== 65) throw new TypeError("options");
    localStorage.setItem(KEPT, "1");
    return make();
  };
  PushManager.prototype.getSubscription = async () => (localStorage.getItem(KEPT) ? make() : null);
  let permission = localStorage.getItem("test.permission") ?? "%(permission)s";
  Object.defineProperty(Notification, "permission", { get: () => permission });
  window.asked = 0;
  Notification.requestPermission = async () => {
    window.asked += 1;
    permission = "%(answer)s";
    localStorage.setItem("test.permission", permission);
    return permission;
  };
})();
"""


@pytest.fixture
def server(transactional_db: None) -> Iterator[StandIn]:
    # The web process trusts for two seconds what it has read, and so would make no keys for the second of two tests.
    vapid.keep_new_keys()
    breakers.forget()
    with stand_in() as made, override_settings(WEBPUSH_ALLOW_LOOPBACK=True):
        yield made


@pytest.fixture
def device(server: StandIn) -> Device:
    return server.device()


def open_devices(
    open_page: OpenPage,
    user: User,
    device: Device,
    *,
    permission: str = "default",
    answer: str = "granted",
    **options: Any,
) -> Page:
    """The page of devices in a browser that subscribes as ``device``."""
    page = open_page(user, "/accounts/login/", **options)
    page.context.grant_permissions(["notifications"])
    given = json.dumps(device.subscription())
    page.context.add_init_script(STUB % {"given": given, "permission": permission, "answer": answer})
    page.goto("/devices/")
    settled(page)
    return page


def turn_on(page: Page) -> None:
    page.get_by_role("button", name="Turn on push").click()
    expect(page.get_by_text("Push is on in this browser.")).to_be_visible()


def deliver(page: Page, site: Site, push: dict[str, Any]) -> CDPSession:
    """Hand a push to the page's service worker, as the browser does with what it decrypted."""
    session = page.context.new_cdp_session(page)
    found: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda told: found.extend(told["registrations"]))
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    session.send("ServiceWorker.enable")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    wait_until(page, lambda: any(one["scopeURL"].startswith(site.url) for one in found))
    registration = next(one for one in found if one["scopeURL"].startswith(site.url))
    page.evaluate(
        """() => {
          window.told = null;
          navigator.serviceWorker.addEventListener("message", ({ data }) => (window.told = data?.delivery_id));
        }"""
    )
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": site.url, "registrationId": registration["registrationId"], "data": json.dumps(push)},
    )
    # The worker says when it has shown it. Who asks for what is shown before that makes Chromium forget it: it strikes
    # from its books what it has written there and not yet displayed.
    page.wait_for_function("(id) => window.told === id", arg=push["delivery_id"])
    return session


def worker_of(page: Page) -> Worker:
    """The page's service worker, which runs before the driver has heard of it."""
    wait_until(page, lambda: bool(page.context.service_workers))
    [worker] = page.context.service_workers
    return worker


def shown(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        """navigator.serviceWorker.ready.then((one) => one.getNotifications()).then((all) => all.map(
             ({ title, body, tag, actions }) => ({ title, body, tag, actions: actions.map((one) => one.title) })))"""
    )
    return found


def click(worker: Worker, action: str = "") -> list[str]:
    """Click the one notification that is shown; returns the addresses for which a window was asked.

    Nothing here clicks what the system shows, so the event is made; and a browser opens windows for real clicks alone.
    """
    opened: list[str] = worker.evaluate(
        """async (action) => {
          const opened = [];
          self.clients.openWindow = async (url) => void opened.push(url);
          const [notification] = await self.registration.getNotifications();
          const event = new NotificationEvent("notificationclick", { notification, action });
          const waits = [];
          event.waitUntil = (promise) => waits.push(promise);
          self.dispatchEvent(event);
          await Promise.all(waits);
          return opened;
        }""",
        action,
    )
    return opened


def drain(priority: Priority) -> None:
    """Send what is due, with the keys of this test."""
    provider_accounts.forget_rows()
    dispatch.drain("push", priority)


def push_to(organization: Organization, user: User, server: StandIn, **content: Any) -> dict[str, Any]:
    """Send, and return what the browser's push service took, decrypted."""
    actions = [{"action": "track", "title": "Track", "url": "/chat/"}]
    send_notification(
        organization=organization,
        recipients=[user],
        channels=["in_app", "push"],
        data={"push": {"actions": actions}},
        content={"title": "On its way", "body": "Your order left.", "action_url": "/preferences/", **content},
    )
    drain(Priority.NORMAL)
    told = list(Delivery.objects.filter(channel="push").values_list("status", "reason", "error"))
    assert server.accepted("webpush"), told
    taken: dict[str, Any] = server.accepted("webpush")[-1].body
    return taken


def test_it_explains_asks_after_a_click_and_registers_the_device(
    open_page: OpenPage, people: tuple[User, User], device: Device
) -> None:
    page = open_devices(open_page, people[0], device)
    expect(page.get_by_text("Your browser will ask for permission next.")).to_be_visible()
    assert page.evaluate("window.asked") == 0
    turn_on(page)
    assert page.evaluate("window.asked") == 1
    row = PushSubscription.objects.get()
    assert (row.user, row.endpoint) == (people[0], device.endpoint)
    assert row.device_name == "Chrome on Linux"
    expect(page.get_by_role("listitem").filter(has_text="Chrome on Linux")).to_contain_text("this browser")
    page.reload()
    expect(page.get_by_text("Push notifications are on.")).to_be_visible()
    assert page.evaluate("window.asked") == 0


def test_not_now_holds_and_a_refusal_says_how_to_undo_it(
    open_page: OpenPage, people: tuple[User, User], device: Device
) -> None:
    page = open_devices(open_page, people[0], device, answer="denied")
    page.get_by_role("button", name="Not now").click()
    page.reload()
    expect(page.get_by_text("Push notifications are off.")).to_be_visible()
    expect(page.get_by_role("button", name="Not now")).to_have_count(0)
    page.get_by_role("button", name="Turn on push").click()
    expect(page.get_by_text("Set “Notifications” to “Allow”.")).to_be_visible()
    expect(page.get_by_role("button", name="Turn on push")).to_have_count(0)
    assert not PushSubscription.objects.exists()


def test_a_push_is_shown_and_a_click_opens_it_and_reads_it(
    open_page: OpenPage,
    people: tuple[User, User],
    organization: Organization,
    server: StandIn,
    device: Device,
    site: Site,
) -> None:
    ada, _ = people
    page = open_devices(open_page, ada, device)
    turn_on(page)
    push = push_to(organization, ada, server)
    deliver(page, site, push)
    assert shown(page) == [
        {"title": "On its way", "body": "Your order left.", "tag": push["delivery_id"], "actions": ["Track"]}
    ]
    # The same push a second time does not show a second one.
    deliver(page, site, push)
    assert len(shown(page)) == 1

    assert click(worker_of(page)) == []
    page.wait_for_url("**/preferences/")
    assert Notification.objects.get().read_at is not None
    delivery = Delivery.objects.get(channel="push")
    assert delivery.status == "clicked"
    page.goto("/inbox/")
    expect(page.get_by_role("button", name="Mark unread: On its way")).to_be_visible()


def test_a_button_leads_to_its_own_address_and_reads_without_a_session(
    open_page: OpenPage,
    people: tuple[User, User],
    organization: Organization,
    server: StandIn,
    device: Device,
    site: Site,
) -> None:
    ada, _ = people
    page = open_devices(open_page, ada, device)
    turn_on(page)
    deliver(page, site, push_to(organization, ada, server))
    page.context.clear_cookies()
    click(worker_of(page), "track")
    page.wait_for_url("**/accounts/login/?next=/chat/")
    assert Notification.objects.get().read_at is not None


def test_a_foreign_page_gets_a_window_and_what_is_no_page_leads_to_the_inbox(
    open_page: OpenPage, people: tuple[User, User], device: Device, site: Site
) -> None:
    page = open_devices(open_page, people[0], device)
    turn_on(page)
    deliver(page, site, {"title": "Elsewhere", "url": "https://example.com/a", "delivery_id": "1"})
    assert click(worker_of(page)) == ["https://example.com/a"]
    deliver(page, site, {"title": "A script", "url": "javascript:alert(1)", "delivery_id": "2"})
    assert click(worker_of(page)) == []
    page.wait_for_url("**/inbox/")


def test_devices_are_named_tested_and_removed(
    open_page: OpenPage,
    people: tuple[User, User],
    organization: Organization,
    server: StandIn,
    device: Device,
) -> None:
    ada, _ = people
    old = server.device()
    push_subscriptions.subscribe(
        organization=organization,
        user=ada,
        endpoint=old.endpoint,
        keys={"p256dh": old.p256dh, "auth": old.auth},
        device_name="Old phone",
    )
    server.lose_device(old.name)
    page = open_devices(open_page, ada, device)
    turn_on(page)
    page.get_by_role("button", name="Rename Chrome on Linux").click()
    expect(page.get_by_label("Name of this device")).to_be_focused()
    page.keyboard.type("Desk")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rename Desk")).to_be_focused()
    assert set(PushSubscription.objects.values_list("device_name", flat=True)) == {"Desk", "Old phone"}

    with page.expect_response("**/api/v1/push/test"):
        page.get_by_role("button", name="Send a test").click()
    drain(Priority.URGENT)
    expect(page.get_by_text("No longer subscribed, and removed: Old phone.")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Desk")).to_contain_text("handed to its push service")

    page.get_by_role("button", name="Remove Desk").click()
    expect(page.get_by_text("Push is off in this browser.")).to_be_visible()
    expect(page.get_by_role("button", name="Turn on push")).to_be_visible()
    assert not PushSubscription.objects.exists()
    assert (
        page.evaluate("navigator.serviceWorker.ready.then((one) => one.pushManager.getSubscription())")
        is None
    )


def test_signing_out_ends_the_pushes_of_this_browser(
    open_page: OpenPage, people: tuple[User, User], device: Device
) -> None:
    page = open_devices(open_page, people[0], device)
    turn_on(page)
    page.get_by_label("Account menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")
    assert not PushSubscription.objects.exists()
    assert page.evaluate("localStorage.getItem('test.subscription')") is None


def test_who_signs_in_next_does_not_get_the_pushes_of_the_one_before(
    open_page: OpenPage, people: tuple[User, User], device: Device, site: Site
) -> None:
    ada, dan = people
    page = open_devices(open_page, ada, device)
    turn_on(page)
    page.context.clear_cookies()
    page.context.add_cookies(site.cookies_of(dan))  # type: ignore[arg-type]
    page.goto("/devices/")
    expect(page.get_by_role("button", name="Turn on push")).to_be_visible()
    page.wait_for_function("localStorage.getItem('test.subscription') === null")


def test_a_changed_subscription_is_told_without_a_page_of_the_person(
    open_page: OpenPage, people: tuple[User, User], server: StandIn, device: Device
) -> None:
    page = open_devices(open_page, people[0], device)
    turn_on(page)
    worker = worker_of(page)
    before = PushSubscription.objects.get()
    renewed = server.device()
    worker.evaluate(
        """async (given) => {
          const event = new Event("pushsubscriptionchange");
          const waits = [];
          event.waitUntil = (promise) => waits.push(promise);
          event.newSubscription = { toJSON: () => given };
          self.dispatchEvent(event);
          await Promise.all(waits);
        }""",
        renewed.subscription(),
    )
    row = PushSubscription.objects.get()
    assert row.id != before.id
    assert (row.endpoint, row.device_name) == (renewed.endpoint, "Chrome on Linux")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 800}], ids=["phone", "desktop"])
def test_every_state_is_accessible(
    open_page: OpenPage, people: tuple[User, User], device: Device, scheme: str, size: dict[str, int]
) -> None:
    options = {"color_scheme": scheme, "viewport": size, "reduced_motion": "reduce"}
    page = open_devices(open_page, people[0], device, **options)
    found = violations(page)
    turn_on(page)
    found += violations(page)
    page.get_by_role("button", name="Rename Chrome on Linux").click()
    found += violations(page)
    scroll, window = widths(page)
    assert scroll <= window
    denied = open_devices(open_page, people[1], device, permission="denied", **options)
    found += violations(denied)
    assert found == []
