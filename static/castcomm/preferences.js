/**
 * `<castcomm-preferences>`: what reaches a person, and where; and their quiet hours.
 *
 * Attributes: those of session.js; with `preference-token` it works for the person of the link in a mail, who is not
 * signed in. Each switch shows what would happen now and why. A change is saved at once, taken back when the server
 * refuses it, and can be undone. `<castcomm-digest-settings>` and `<castcomm-topics>` have their places here.
 */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { live } from "../vendor/lit/directives/live.js";
import { whyOf } from "./preference-reasons.js";
import { preferencesStyles } from "./preferences-styles.js";
import "./quiet-hours.js";
import { openSession, sessionProperties } from "./session.js";
import { controls, tokens } from "./styles.js";

const CHANNELS = { in_app: "In-app", email: "E-mail", sms: "SMS", push: "Push" };
const PARTS = ["castcomm-digest-settings", "castcomm-topics"];
const SAVED_MS = 10_000; // long enough to reach the button that takes it back

export class CastCommPreferences extends LitElement {
  static styles = [tokens, controls, preferencesStyles];

  static properties = {
    ...sessionProperties,
    preferences: { state: true },
    error: { state: true },
    saved: { state: true },
    opened: { state: true },
  };

  #api = null;
  #cells = new Map();
  #savedTimer = 0;
  #saving = Promise.resolve();
  #parts = new Map();

  constructor() {
    super();
    this.preferences = null;
    this.error = null;
    this.saved = null;
    this.opened = new Set();
  }

  connectedCallback() {
    super.connectedCallback();
    // Properties that the page sets right after making the element count too.
    queueMicrotask(() => {
      this.#api = openSession(this).api;
      for (const name of PARTS) this.#parts.set(name, Object.assign(document.createElement(name), this.#session));
      this.#load();
    });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.#savedTimer);
  }

  get #session() {
    return Object.fromEntries(Object.keys(sessionProperties).map((name) => [name, this[name]]));
  }

  async #load() {
    this.error = null;
    try {
      const [preferences, effective] = await Promise.all([
        this.#api.get("/preferences"),
        this.#api.get("/preferences/effective"),
      ]);
      this.#take(preferences, effective);
    } catch (error) {
      this.error = error;
    }
  }

  #take(preferences, { cells }) {
    this.#cells = new Map(cells.map((cell) => [`${cell.event_type} ${cell.channel}`, cell]));
    this.preferences = preferences;
  }

  render() {
    if (this.error && !this.preferences) {
      return html`<div class="panel empty" role="alert">
        <p>${this.error.message}</p>
        <button @click=${this.#load}>Try again</button>
      </div>`;
    }
    if (!this.preferences) return html`<p class="panel empty" role="status">Loading…</p>`;
    return html`
      ${this.#table()}
      ${this.#part("castcomm-digest-settings")}
      <castcomm-quiet-hours
        class="panel"
        .value=${this.preferences.quiet_hours}
        .save=${(quiet_hours) => this.#saveQuietHours(quiet_hours)}
      ></castcomm-quiet-hours>
      ${this.#part("castcomm-topics")}
      <div class="saved" role="status">${this.saved?.failed ? nothing : this.#toast()}</div>
      <div class="saved" role="alert">${this.saved?.failed ? this.#toast() : nothing}</div>
    `;
  }

  #toast() {
    if (!this.saved) return nothing;
    const { text, failed, undo } = this.saved;
    const button = undo ? html`<button @click=${undo}>Undo</button>` : nothing;
    return html`<span class=${failed ? "error" : ""}><span>${text}</span>${button}</span>`;
  }

  /** An element of another module, in the same session. It shows nothing when there is nothing to choose. */
  #part(name) {
    return this.#parts.get(name) ?? nothing;
  }

  get #channels() {
    const used = new Set([...this.#cells.values()].map((cell) => cell.channel));
    return Object.keys(CHANNELS).filter((channel) => used.has(channel) || channel in this.preferences.global);
  }

  #table() {
    const { categories, event_types: kinds } = this.preferences;
    return html`<div class="panel">
      <table>
        <caption class="hidden">
          What reaches you, by channel
        </caption>
        <thead>
          <tr>
            <th scope="col"><span class="hidden">Kind of message</span></th>
            ${this.#channels.map((channel) => html`<th scope="col">${CHANNELS[channel]}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${this.#groupRow({ scope: "global", key: "", name: "Everything", own: this.preferences.global, kinds })}
        </tbody>
        ${categories.map((category) => this.#category(category, kinds.filter((kind) => kind.category === category.key)))}
      </table>
    </div>`;
  }

  #category(category, kinds) {
    const isOpen = this.opened.has(category.key);
    return html`<tbody>
      ${this.#groupRow({
        scope: "category",
        key: category.key,
        name: category.name,
        own: category.channels,
        asks: category.requires_consent,
        kinds,
        more: kinds.length
          ? html`<button class="link" aria-expanded=${isOpen} @click=${() => this.#toggleOpen(category.key)}>
              ${isOpen ? "Hide" : "Show"} ${kinds.length === 1 ? "1 kind" : `${kinds.length} kinds`}<span class="hidden">
                of ${category.name}</span
              >
            </button>`
          : nothing,
      })}
      ${isOpen ? kinds.map((kind) => this.#kindRow(kind)) : nothing}
    </tbody>`;
  }

  #groupRow({ scope, key, name, own, kinds, asks = false, more = nothing }) {
    return html`<tr class="group">
      <th scope="row">
        ${name} ${asks ? html`<p class="asks">Only if you agree</p>` : nothing}
        <div class="under">${more} ${this.#reset(scope, key, name, own)}</div>
      </th>
      ${this.#channels.map((channel) => html`<td>${this.#groupSwitch({ scope, key, name, kinds, channel })}</td>`)}
    </tr>`;
  }

  #kindRow(kind) {
    return html`<tr class="kind">
      <th scope="row">
        ${kind.name}
        <div class="under">${this.#reset("event_type", kind.key, kind.name, kind.channels)}</div>
      </th>
      ${this.#channels.map((channel) => html`<td>${this.#kindSwitch(kind, channel)}</td>`)}
    </tr>`;
  }

  #reset(scope, key, name, own) {
    const chosen = Object.keys(own).filter((channel) => own[channel] !== null);
    if (!chosen.length) return nothing;
    const clear = () => this.#change(chosen.map((channel) => ({ scope, key, channel, enabled: null })));
    return html`<button class="link" @click=${clear}>Reset<span class="hidden"> ${name}</span></button>`;
  }

  /** A group stands for all its kinds: on, off, or some of each. */
  #groupSwitch({ scope, key, name, kinds, channel }) {
    const cells = kinds.map((kind) => this.#cells.get(`${kind.key} ${channel}`)).filter(Boolean);
    if (!cells.length) return html`<span aria-hidden="true">–</span>`;
    const movable = cells.filter((cell) => !cell.locked);
    // Kinds that do not use the channel say nothing about the group, unless none does.
    const used = movable.filter((cell) => cell.reason !== "not_requested");
    const counted = [used, movable, cells].find((some) => some.length);
    const on = counted.filter((cell) => cell.effective).length;
    const state = on === counted.length ? "true" : on ? "mixed" : "false";
    return html`<button
      type="button"
      class="switch"
      role="checkbox"
      aria-checked=${live(state)}
      aria-disabled=${movable.length ? "false" : "true"}
      aria-label="${name}, ${CHANNELS[channel]}"
      @click=${() => movable.length && this.#change([{ scope, key, channel, enabled: state !== "true" }])}
    ></button>`;
  }

  #kindSwitch(kind, channel) {
    const cell = this.#cells.get(`${kind.key} ${channel}`);
    if (!cell) return html`<span aria-hidden="true">–</span>`;
    const [short, long] = whyOf(cell);
    const fixed = cell.locked;
    const change = { scope: "event_type", key: kind.key, channel, enabled: !cell.effective };
    const described = `why-${kind.key}-${channel}`;
    return html`
      <button
        type="button"
        class="switch"
        role="switch"
        aria-checked=${live(String(cell.effective))}
        aria-disabled=${String(fixed)}
        aria-label="${kind.name}, ${CHANNELS[channel]}"
        aria-describedby=${described}
        title=${long}
        @click=${() => !fixed && this.#change([change])}
      ></button>
      <span class="why ${short === "you" ? "own" : ""}" aria-hidden="true">${short}</span>
      <span class="hidden" id=${described}>${long || short}</span>
    `;
  }

  #toggleOpen(key) {
    const opened = new Set(this.opened);
    if (!opened.delete(key)) opened.add(key);
    this.opened = opened;
  }

  /** Show the change, save it, and show what the server makes of it. */
  #change(changes, { said = "Saved", canUndo = true } = {}) {
    const before = new Map(this.#cells);
    const undo = canUndo ? this.#opposite(changes) : null;
    for (const change of changes) this.#foresee(change);
    this.requestUpdate();
    // One after the other: the answers must not overtake each other.
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#api.patch("/preferences", { set: changes });
        await this.#load();
        this.#say(said, { undo: undo && (() => this.#change(undo, { said: "Undone", canUndo: false })) });
      } catch (error) {
        this.#cells = before;
        this.#say(`Not saved: ${error.message}`, { failed: true });
        this.requestUpdate();
      }
    });
  }

  /** The changes that bring the person's own switches back to how they are now. */
  #opposite(changes) {
    const { global: everything, categories, event_types: kinds } = this.preferences;
    const rows = { global: () => everything, category: byKey(categories), event_type: byKey(kinds) };
    return changes.map((change) => ({ ...change, enabled: rows[change.scope](change.key)[change.channel] }));
  }

  #foresee({ scope, key, channel, enabled }) {
    if (enabled === null) return;
    for (const [name, cell] of this.#cells) {
      const meant =
        scope === "global" || (scope === "category" ? cell.category === key : cell.event_type === key);
      if (meant && cell.channel === channel && !cell.locked) {
        this.#cells.set(name, { ...cell, effective: enabled });
      }
    }
  }

  async #saveQuietHours(quiet_hours) {
    await this.#api.patch("/preferences", { quiet_hours });
    await this.#load();
    this.#say("Quiet hours saved");
  }

  #say(text, { failed = false, undo = null } = {}) {
    this.saved = { text, failed, undo };
    clearTimeout(this.#savedTimer);
    // A failure stays until the next change: it must not be missed.
    if (!failed) this.#savedTimer = setTimeout(() => (this.saved = null), SAVED_MS);
  }
}

const byKey = (rows) => (key) => rows.find((row) => row.key === key).channels;

if (!customElements.get("castcomm-preferences")) customElements.define("castcomm-preferences", CastCommPreferences);
