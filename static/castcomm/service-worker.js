/**
 * Shows pushes, opens what they are about, and keeps the browser subscribed. Served at /service-worker.js.
 *
 * What it has to know of the person (whose pushes, in which organizations) the pages keep in a cache under STATE; see
 * push.js. It works without: then only a changed subscription waits for the next visit.
 */

const STATE_CACHE = "castcomm-push";
const STATE = "/castcomm-push-state";
const TITLE = "CastComm";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(show(event.data)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(clicked(event.notification.data ?? {}, event.action));
});
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAnew(event)));

/** Always shows something: a browser takes the subscription away from who does not. */
async function show(data) {
  const push = read(data);
  const tag = text(push.topic) || text(push.delivery_id);
  const actions = Array.isArray(push.actions) ? push.actions : [];
  await self.registration.showNotification(text(push.title) || TITLE, {
    body: text(push.body),
    icon: "/static/castcomm/mark.svg",
    // The same push twice is shown once; a newer one of the same topic makes itself heard.
    tag: tag || undefined,
    renotify: Boolean(tag && push.topic),
    actions: actions.map(({ action, title }) => ({ action: text(action), title: text(title) })),
    data: { ...push, actions },
  });
  await tell({ type: "castcomm-push", delivery_id: text(push.delivery_id) });
}

function read(data) {
  try {
    const push = data.json();
    return push && typeof push === "object" ? push : {};
  } catch {
    return { body: data ? data.text() : "" };
  }
}

async function clicked(push, action) {
  const button = (push.actions ?? []).find((one) => action && one.action === action);
  // Both at once: a browser lets a window be opened for a moment after the click only.
  await Promise.all([open(addressOf(button?.url || push.url)), report(push.click)]);
}

/** An absolute http(s) address; anything else leads to the inbox. */
function addressOf(given) {
  try {
    const url = new URL(text(given) || "/inbox/", self.location.origin);
    if (url.protocol === "https:" || url.protocol === "http:") return url;
  } catch {
    // Not an address.
  }
  return new URL("/inbox/", self.location.origin);
}

/** In a tab that shows it already, else in one of ours, else in a new one. Foreign addresses get a new one. */
async function open(url) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((one) => one.url === url.href);
  const ours = url.origin === self.location.origin ? (windows.find((one) => one.focused) ?? windows[0]) : undefined;
  try {
    if (there) return await there.focus();
    if (ours) return await focused(await ours.navigate(url.href));
  } catch {
    // A tab that this worker does not control cannot be led elsewhere.
  }
  return self.clients.openWindow(url.href).catch(() => null);
}

async function focused(client) {
  // Some systems let no window come to the front; it shows the right page all the same.
  await client?.focus().catch(() => null);
  return client;
}

async function report(click) {
  if (!text(click)) return;
  await fetch("/push/clicked", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    credentials: "omit",
    keepalive: true,
    body: JSON.stringify({ click }),
  }).catch(() => null);
}

/** The push service has given the browser another address: take it, and tell it to each organization. */
async function subscribeAnew(event) {
  const state = await readState();
  const options = event.oldSubscription?.options;
  const subscription =
    event.newSubscription ??
    (options?.applicationServerKey
      ? await self.registration.pushManager.subscribe({
          userVisibleOnly: true,
          applicationServerKey: options.applicationServerKey,
        })
      : null);
  if (!subscription || !state) return;
  const token = await csrfToken(state);
  // Without the token (a browser without cookieStore), the next page that opens does it.
  if (!token) return void (await tell({ type: "castcomm-push-changed" }));
  for (const [organization, device] of Object.entries(state.organizations)) {
    const headers = {
      "Content-Type": "application/json",
      "X-CSRFToken": token,
      "X-Organization": organization,
    };
    const call = (method, path, body) =>
      fetch(`/api/v1/push/subscriptions${path}`, { method, headers, body, credentials: "same-origin" });
    const body = { ...subscription.toJSON(), device_name: device.name ?? "" };
    const answer = await call("POST", "", JSON.stringify(body)).catch(() => null);
    if (!answer?.ok) continue;
    const { id } = await answer.json();
    if (device.id && device.id !== id) await call("DELETE", `/${device.id}`).catch(() => null);
    state.organizations[organization] = { ...device, id, told: Date.now() };
  }
  await (await caches.open(STATE_CACHE)).put(STATE, new Response(JSON.stringify(state)));
}

async function readState() {
  const kept = await (await caches.open(STATE_CACHE)).match(STATE);
  return kept ? kept.json().catch(() => null) : null;
}

async function csrfToken(state) {
  if (!self.cookieStore || !state.csrfCookie) return "";
  return (await self.cookieStore.get(state.csrfCookie))?.value ?? "";
}

async function tell(message) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const one of windows) one.postMessage(message);
}

function text(value) {
  return typeof value === "string" ? value : "";
}
