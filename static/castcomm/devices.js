/**
 * `<castcomm-devices>`: whether this browser gets pushes, and the person's devices with their names.
 *
 * It explains before it asks, and asks only after a click. Works on CastComm's own pages: a browser subscribes for the
 * origin that it is on.
 */

import { LitElement, css, html, nothing } from "../vendor/lit/lit-element.js";
import { fullTime, relativeTime } from "./format.js";
import { isLater, later, pushState, thisDevice, turnOff, turnOn } from "./push.js";
import { openSession, sessionProperties } from "./session.js";
import { controls, tokens } from "./styles.js";

const ASK_EVERY_MS = 700;
const ASK_TIMES = 25;

const OUTCOMES = {
  sent: "The test was handed to its push service.",
  not_sent: "Its push service cannot be reached now; it is tried again.",
  unknown: "It is not known whether the test arrived.",
  permanent: "It did not take the test.",
};

const styles = css`
  :host {
    display: block;
  }
  .panel {
    margin-bottom: 1.5rem;
    padding: 1.25rem 1.4rem 1.4rem;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }
  h2 {
    font-size: 1.1875rem;
  }
  h2:focus {
    outline: none;
  }
  p,
  .steps {
    margin-top: 0.4rem;
  }
  .steps {
    padding-left: 1.2rem;
    list-style: decimal;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    gap: 0.6rem;
    margin-top: 1rem;
  }
  li.device {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 0.3rem 1rem;
    align-items: center;
    padding: 0.9rem 0;
    border-top: 1px solid var(--line);
  }
  .devices {
    margin-top: 1rem;
  }
  .name {
    font-weight: 550;
    overflow-wrap: anywhere;
  }
  .mark {
    display: inline-block;
    margin-left: 0.4rem;
    padding: 0 0.5rem;
    border-radius: 10px;
    background: var(--tint);
    color: var(--accent);
    font-size: 0.8125rem;
    font-weight: 600;
  }
  .used,
  .outcome {
    color: var(--muted);
    font-size: 0.9375rem;
  }
  .outcome {
    grid-column: 1 / -1;
    margin: 0;
  }
  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
  }
  form {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    grid-column: 1 / -1;
  }
  form label {
    flex-basis: 100%;
    font-weight: 550;
  }
  input {
    flex: 1 1 12rem;
    min-width: 0;
  }
  .told {
    /* Seen wherever the button was that led to it. */
    position: sticky;
    z-index: 5;
    bottom: calc(var(--nav-height, 0px) + 1rem);
    display: flex;
    justify-content: center;
    pointer-events: none;
  }
  .told > * {
    padding: 0.45rem 1rem;
    border-radius: 20px;
    background: var(--text);
    color: var(--surface);
    font-size: 0.9375rem;
    pointer-events: auto;
  }
  .told > .failed {
    background: var(--danger);
  }
  @media (max-width: 40rem) {
    .panel {
      padding: 1.1rem 1rem 1.2rem;
    }
    li.device {
      grid-template-columns: 1fr;
    }
  }
`;

export class CastCommDevices extends LitElement {
  static styles = [tokens, controls, styles];

  static properties = {
    ...sessionProperties,
    push: { state: true },
    devices: { state: true },
    here: { state: true },
    renaming: { state: true },
    outcomes: { state: true },
    said: { state: true },
    failed: { state: true },
    busy: { state: true },
    postponed: { state: true },
  };

  #api = null;
  #gone = false;

  constructor() {
    super();
    this.push = "";
    this.devices = null;
    this.here = "";
    this.renaming = "";
    this.outcomes = new Map();
    this.said = "";
    this.failed = "";
    this.busy = false;
    this.postponed = isLater();
  }

  connectedCallback() {
    super.connectedCallback();
    this.#gone = false;
    queueMicrotask(() => {
      this.#api = openSession(this).api;
      this.#load();
    });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#gone = true;
  }

  async #load() {
    await this.#try(async () => {
      const [push, here, { results }] = await Promise.all([
        pushState(),
        thisDevice(),
        this.#api.get("/push/subscriptions"),
      ]);
      // The server forgets devices whose push service does; then this one is off as well.
      const known = results.some(({ id }) => id === here);
      this.push = push === "on" && !known ? "off" : push;
      this.here = known ? here : "";
      this.devices = results;
    });
  }

  /** Do something, and show what the server or the browser had against it. */
  async #try(act) {
    this.failed = "";
    this.busy = true;
    try {
      await act();
    } catch (error) {
      this.failed = error.message || "That did not work.";
    }
    this.busy = false;
  }

  render() {
    if (!this.devices && this.failed) {
      return html`<div class="panel" role="alert">
        <p>${this.failed}</p>
        <div class="buttons"><button @click=${this.#load}>Try again</button></div>
      </div>`;
    }
    if (!this.devices) return html`<p class="panel" role="status">Loading…</p>`;
    return html`
      <section class="panel" aria-labelledby="here">${this.#thisBrowser()}</section>
      ${this.devices.length ? html`<section class="panel" aria-labelledby="all">${this.#list()}</section>` : nothing}
      <div class="told" role="status">${this.said ? html`<span>${this.said}</span>` : nothing}</div>
      <div class="told" role="alert">${this.failed ? html`<span class="failed">${this.failed}</span>` : nothing}</div>
    `;
  }

  #thisBrowser() {
    const title = html`<h2 id="here" tabindex="-1">This browser</h2>`;
    switch (this.push) {
      case "on":
        return html`${title}
          <p>Push notifications are on. They come even when no page of CastComm is open.</p>
          <div class="buttons"><button ?disabled=${this.busy} @click=${this.#turnOff}>Turn off here</button></div>`;
      case "denied":
        return html`${title}
          <p>This browser was told not to show notifications of this site, and CastComm cannot ask again. To allow them:</p>
          <ol class="steps">
            <li>Open the site's settings: the icon to the left of the address.</li>
            <li>Set “Notifications” to “Allow”.</li>
            <li>Load this page again.</li>
          </ol>`;
      case "install":
        return html`${title}
          <p>On an iPhone or iPad, push works once CastComm is on the home screen: choose Share, then “Add to Home Screen”, and open it from there.</p>`;
      case "unsupported":
        return html`${title}<p>This browser cannot show push notifications. The inbox has everything.</p>`;
      default:
        return html`${title} ${this.#offer()}`;
    }
  }

  #offer() {
    const on = html`<button class="primary" ?disabled=${this.busy} @click=${this.#turnOn}>
      ${this.busy ? "One moment…" : "Turn on push"}
    </button>`;
    if (this.postponed) {
      return html`<p>Push notifications are off.</p><div class="buttons">${on}</div>`;
    }
    return html`
      <p>Get what matters as a notification of this device, even when no page of CastComm is open.</p>
      <p>Your preferences and quiet hours count for push as well, and you can turn it off here at any time. Your browser will ask for permission next.</p>
      <div class="buttons">${on}<button class="quiet" @click=${this.#later}>Not now</button></div>
    `;
  }

  #list() {
    return html`
      <h2 id="all">Your devices</h2>
      <ul class="devices">
        ${this.devices.map((device) => this.#device(device))}
      </ul>
      <div class="buttons">
        <button ?disabled=${this.busy} @click=${this.#test}>Send a test</button>
      </div>
    `;
  }

  #device(device) {
    const name = nameOf(device);
    const used = device.last_used_at ?? device.created_at;
    const outcome = this.outcomes.get(device.id);
    return html`<li class="device">
      <div>
        <span class="name">${name}</span>${device.id === this.here ? html` <span class="mark">this browser</span>` : nothing}
        <div class="used">Last used <time datetime=${used} title=${fullTime(used)}>${relativeTime(used)}</time></div>
      </div>
      ${this.renaming === device.id ? nothing : this.#actions(device, name)}
      ${outcome ? html`<p class="outcome">${outcome}</p>` : nothing}
      ${this.renaming === device.id ? this.#nameForm(device, name) : nothing}
    </li>`;
  }

  #actions(device, name) {
    return html`<div class="actions">
      <button id="rename-${device.id}" @click=${() => this.#startRenaming(device)}>
        Rename<span class="hidden"> ${name}</span>
      </button>
      <button ?disabled=${this.busy} @click=${() => this.#remove(device)}>Remove<span class="hidden"> ${name}</span></button>
    </div>`;
  }

  #nameForm(device, name) {
    return html`<form @submit=${(event) => this.#rename(event, device)} @keydown=${this.#escape}>
      <label for="name">Name of this device</label>
      <input id="name" name="name" maxlength="100" autocomplete="off" .value=${name} />
      <button class="primary" ?disabled=${this.busy}>Save</button>
      <button type="button" @click=${() => this.#stopRenaming()}>Cancel</button>
    </form>`;
  }

  #turnOn() {
    return this.#try(async () => {
      this.push = await turnOn(this.#api);
      await this.#load();
      if (this.push === "on") await this.#say("Push is on in this browser.");
    });
  }

  #turnOff() {
    return this.#try(async () => {
      await turnOff(this.#api);
      await this.#load();
      await this.#say("Push is off in this browser.");
    });
  }

  #later() {
    later();
    this.postponed = true;
    return this.#say("You can turn it on here whenever you like.");
  }

  async #remove(device) {
    if (device.id === this.here) return this.#turnOff();
    return this.#try(async () => {
      await this.#api.request("DELETE", `/push/subscriptions/${device.id}`).catch(ignoreMissing);
      await this.#load();
      await this.#say(`${nameOf(device)} was removed.`);
    });
  }

  async #startRenaming({ id }) {
    this.renaming = id;
    await this.updateComplete;
    this.renderRoot.querySelector("#name")?.select();
  }

  async #stopRenaming() {
    const id = this.renaming;
    this.renaming = "";
    await this.updateComplete;
    this.renderRoot.querySelector(`[id="rename-${id}"]`)?.focus();
  }

  #escape(event) {
    if (event.key === "Escape") this.#stopRenaming();
  }

  #rename(event, device) {
    event.preventDefault();
    const device_name = new FormData(event.target).get("name").trim();
    return this.#try(async () => {
      await this.#api.patch(`/push/subscriptions/${device.id}`, { device_name });
      await this.#load();
      this.said = "Renamed.";
      await this.#stopRenaming();
    });
  }

  #test() {
    return this.#try(async () => {
      this.outcomes = new Map();
      this.said = "Sending a test…";
      const { notification_id } = await this.#api.post("/push/test");
      const told = await this.#outcomeOf(notification_id);
      const before = this.devices;
      await this.#load();
      this.outcomes = new Map(told.devices.map((one) => [one.id, sentenceOf(one)]));
      // What is gone is removed a moment after it was said.
      const gone = new Set(told.devices.filter((one) => one.gone).map(({ id }) => id));
      this.devices = this.devices.filter(({ id }) => !gone.has(id));
      const removed = before.filter(({ id }) => gone.has(id)).map(nameOf);
      const lost = removed.length ? ` No longer subscribed, and removed: ${removed.join(", ")}.` : "";
      const [done, waiting] = ["The test is done.", "The test is still waiting; it will come."];
      this.said = `${told.settled || told.devices.length ? done : waiting}${lost}`;
    });
  }

  async #outcomeOf(notification) {
    let told = { settled: false, devices: [] };
    for (let asked = 0; asked < ASK_TIMES && !this.#gone && !told.devices.length && !told.settled; asked += 1) {
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
      told = await this.#api.get(`/push/test/${notification}`);
    }
    return told;
  }

  /** Say it, and put the focus where it is not lost with the button that went away. */
  async #say(text) {
    this.said = text;
    await this.updateComplete;
    this.renderRoot.querySelector("#here")?.focus();
  }
}

const nameOf = (device) => device.device_name || (device.kind === "fcm" ? "App" : "Browser");

function sentenceOf({ outcome, detail }) {
  const text = OUTCOMES[outcome] ?? "";
  return outcome === "sent" || !detail ? text : `${text} (${detail})`;
}

function ignoreMissing(error) {
  if (error.status !== 404) throw error;
}

if (!customElements.get("castcomm-devices")) customElements.define("castcomm-devices", CastCommDevices);
