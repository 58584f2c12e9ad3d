/**
 * This browser's subscription to push: asked for on request alone, kept up to date, given up at sign-out.
 *
 * Loaded by every page of a signed-in person. What the service worker has to know is kept in a cache: whose pushes, and
 * per organization the id and the name of this device (PushState).
 */

import { Api, pageSetting } from "./api.js";

const WORKER = "/service-worker.js";
const STATE_CACHE = "castcomm-push";
const STATE = "/castcomm-push-state";
const LATER = "castcomm.push-later";
const LATER_MS = 14 * 24 * 3600 * 1000;
const TELL_AGAIN_MS = 24 * 3600 * 1000;
const SIGN_OUT_MS = 3_000;

/**
 * @typedef {{user: string, csrfCookie: string, organizations: Object<string, {id: string, name: string, told: number}>}}
 *   PushState
 */

/** "on", "off", "denied", "install" (only an installed app can), or "unsupported". Asks nobody. */
export async function pushState(organization = pageSetting("organization")) {
  if (!supported()) return needsInstalling() ? "install" : "unsupported";
  if (Notification.permission === "denied") return "denied";
  const [subscription, state] = await Promise.all([currentSubscription(), readState()]);
  const mine = state?.user === pageSetting("user") && state.organizations[organization];
  return Notification.permission === "granted" && subscription && mine ? "on" : "off";
}

/** The id under which the server knows this browser, or "". */
export async function thisDevice(organization = pageSetting("organization")) {
  const state = await readState();
  return (state?.user === pageSetting("user") && state.organizations[organization]?.id) || "";
}

/**
 * Ask the browser, which asks the person, and register; only ever after a click. Resolves with pushState.
 * Rejects with ApiError, or with the browser's DOMException when it cannot subscribe.
 */
export async function turnOn(api, organization = pageSetting("organization")) {
  if ((await Notification.requestPermission()) !== "granted") return pushState(organization);
  const { public_key: key } = await api.get("/push/vapid-public-key");
  const registration = await register();
  let subscription = await registration.pushManager.getSubscription();
  if (subscription && !sameKey(subscription, key)) {
    // Made for a key that is no longer used: nobody can push to it.
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: bytes(key),
  });
  await tellServer(api, organization, subscription, suggestedName());
  forgetLater();
  return "on";
}

/** Forget this device in one organization; the browser is unsubscribed with the last. */
export async function turnOff(api, organization = pageSetting("organization")) {
  const state = await readState();
  const id = state?.organizations[organization]?.id;
  if (id) await api.request("DELETE", `/push/subscriptions/${id}`).catch(ignoreMissing);
  if (state) delete state.organizations[organization];
  if (state && Object.keys(state.organizations).length) return writeState(state);
  return unsubscribe();
}

/** "Not now": nothing is offered for fourteen days. */
export function later() {
  try {
    localStorage.setItem(LATER, String(Date.now()));
  } catch {
    // Then it is asked again on the next page.
  }
}

export function isLater() {
  try {
    return Date.now() - Number(localStorage.getItem(LATER) ?? 0) < LATER_MS;
  } catch {
    return false;
  }
}

function forgetLater() {
  try {
    localStorage.removeItem(LATER);
  } catch {
    // Nothing was kept.
  }
}

/** "Firefox on Android": what a device is called until its person gives it a name. */
export function suggestedName(agent = navigator.userAgent) {
  const browsers = [[/Edg/, "Edge"], [/OPR/, "Opera"], [/Firefox|FxiOS/, "Firefox"], [/Chrome|CriOS/, "Chrome"], [/Safari/, "Safari"]];
  const systems = [[/Android/, "Android"], [/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Windows/, "Windows"], [/Mac OS/, "Mac"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]];
  const named = (list) => list.find(([sign]) => sign.test(agent))?.[1];
  return [named(browsers) ?? "Browser", named(systems)].filter(Boolean).join(" on ");
}

function supported() {
  return "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
}

/** On iPhones and iPads push exists only for what is on the home screen. */
function needsInstalling() {
  const apple = /iPhone|iPad/.test(navigator.userAgent) || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
  return apple && !window.matchMedia("(display-mode: standalone)").matches;
}

async function register() {
  await navigator.serviceWorker.register(WORKER, { updateViaCache: "none" });
  return navigator.serviceWorker.ready;
}

async function currentSubscription() {
  const registration = await navigator.serviceWorker.getRegistration("/");
  return (await registration?.pushManager.getSubscription()) ?? null;
}

async function tellServer(api, organization, subscription, name) {
  const state = (await readState()) ?? {};
  const user = pageSetting("user");
  const kept = state.user === user ? state.organizations : {};
  const body = subscription.toJSON();
  if (name) body.device_name = name;
  const row = await api.post("/push/subscriptions", body);
  const device = { id: row.id, name: row.device_name, told: Date.now() };
  await writeState({ user, csrfCookie: pageSetting("csrf-cookie"), organizations: { ...kept, [organization]: device } });
}

async function unsubscribe() {
  const subscription = await currentSubscription();
  await subscription?.unsubscribe();
  if ("caches" in window) await caches.delete(STATE_CACHE);
}

async function readState() {
  if (!("caches" in window)) return null;
  const kept = await (await caches.open(STATE_CACHE)).match(STATE);
  return kept ? kept.json().catch(() => null) : null;
}

async function writeState(state) {
  await (await caches.open(STATE_CACHE)).put(STATE, new Response(JSON.stringify(state)));
}

/** Keep what was turned on: the worker of today, keys that may have changed; and nobody else's pushes. */
export async function keepUp({ force = false } = {}) {
  if (!supported() || !pageSetting("user")) return;
  const state = await readState();
  if (!state) return;
  if (state.user !== pageSetting("user")) {
    // Somebody else signed in here: what is meant for the one before is not theirs to see.
    await unsubscribe();
    return;
  }
  if (Notification.permission !== "granted") return;
  const registration = await register();
  const subscription = await registration.pushManager.getSubscription();
  if (!subscription) return;
  for (const [organization, { told, name }] of Object.entries(state.organizations)) {
    if (!force && Date.now() - told < TELL_AGAIN_MS) continue;
    await tellServer(new Api({ organization }), organization, subscription, force ? name : "").catch(() => null);
  }
}

/** Before somebody signs out, this browser stops getting their pushes. */
function giveUpAtSignOut(event) {
  const form = event.target;
  if (!form.matches?.('form[action$="/logout/"]') || form.dataset.left) return;
  event.preventDefault();
  form.dataset.left = "true";
  const leave = async () => {
    const state = await readState();
    for (const organization of Object.keys(state?.organizations ?? {})) {
      await turnOff(new Api({ organization }), organization);
    }
  };
  const enough = new Promise((resolve) => setTimeout(resolve, SIGN_OUT_MS));
  Promise.race([leave(), enough])
    .catch(() => null)
    .finally(() => form.requestSubmit());
}

function sameKey(subscription, key) {
  const used = subscription.options?.applicationServerKey;
  if (!used) return true;
  const wanted = bytes(key);
  const have = new Uint8Array(used);
  return have.length === wanted.length && have.every((byte, at) => byte === wanted[at]);
}

function bytes(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function ignoreMissing(error) {
  if (error.status !== 404) throw error;
}

if (supported()) {
  document.addEventListener("submit", giveUpAtSignOut);
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data?.type === "castcomm-push-changed") keepUp({ force: true }).catch(() => null);
  });
  keepUp().catch(() => null);
}
