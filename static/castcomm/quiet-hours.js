/**
 * `<castcomm-quiet-hours>`: the form for the hours in which nothing but critical news goes out, for all channels and for
 * one instead; used by the preferences.
 */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { preferencesStyles } from "./preferences-styles.js";
import { controls, tokens } from "./styles.js";

const DAYS = 7;
const CHANNELS = { email: "E-mail", sms: "SMS", push: "Push" };

class CastCommQuietHours extends LitElement {
  static styles = [tokens, controls, preferencesStyles];

  static properties = {
    /** {enabled, start, end, days, time_zone, channels: {email: the same or null, …}}; null when not loaded. */
    value: { attribute: false },
    /** A function that saves such a value; rejects with ApiError. */
    save: { attribute: false },
    errors: { state: true },
    failure: { state: true },
    busy: { state: true },
    modes: { state: true },
  };

  constructor() {
    super();
    this.value = null;
    this.errors = {};
    this.failure = "";
    this.busy = false;
    this.modes = {};
  }

  willUpdate(changed) {
    if (changed.has("value")) this.modes = {};
  }

  render() {
    const value = this.value ?? {};
    const days = value.days ?? [...Array(DAYS).keys()];
    return html`
      <form class="pad" novalidate aria-labelledby="title" @submit=${this.#submitted}>
        <h2 id="title">Quiet hours</h2>
        <p class="hint">In these hours nothing leaves for your phone or mailbox, except what is critical. It comes when they end.</p>
        <div class="fields">
          <label class="turn-on">
            <input type="checkbox" name="enabled" .checked=${Boolean(value.enabled)} /> Keep quiet hours
          </label>
          <div class="times">
            ${this.#field("start", "From", html`<input type="time" id="start" name="start" required
              .value=${shortTime(value.start ?? "22:00")} aria-invalid=${this.#invalid("start")} aria-describedby="start-error" />`)}
            ${this.#field("end", "To", html`<input type="time" id="end" name="end" required
              .value=${shortTime(value.end ?? "08:00")} aria-invalid=${this.#invalid("end")} aria-describedby="end-error" />`)}
          </div>
          <fieldset aria-describedby="days-error">
            <legend>Nights that begin on</legend>
            <div class="days">
              ${dayNames().map(
                (name, day) => html`<label>
                  <input type="checkbox" name="days" value=${day} .checked=${days.includes(day)} />${name}
                </label>`,
              )}
            </div>
            ${this.#error("days")}
          </fieldset>
          ${this.#field("time_zone", "Time zone", html`<select id="time_zone" name="time_zone" class="zone"
            aria-invalid=${this.#invalid("time_zone")} aria-describedby="time_zone-error">
            ${this.#zones(value.time_zone ?? "")}
          </select>`)}
          <fieldset class="channels">
            <legend>Differently on one channel</legend>
            ${Object.keys(CHANNELS).map((channel) => this.#channel(channel, value.channels?.[channel] ?? null))}
          </fieldset>
          <div class="save">
            <button class="primary" ?disabled=${this.busy}>${this.busy ? "Saving…" : "Save quiet hours"}</button>
            ${this.failure ? html`<p class="error" role="alert">${this.failure}</p>` : nothing}
          </div>
        </div>
      </form>
    `;
  }

  /** How quiet hours are on one channel: the same, none, or hours of its own. */
  #channel(channel, own) {
    const mode = this.modes[channel] ?? (own === null ? "same" : own.enabled ? "own" : "none");
    const choose = (event) => (this.modes = { ...this.modes, [channel]: event.target.value });
    const options = { same: "As above", none: "No quiet hours", own: "Other hours" };
    return html`<div class="channel">
      <label for="${channel}-mode">${CHANNELS[channel]}</label>
      <select id="${channel}-mode" name="${channel}-mode" @change=${choose}>
        ${Object.entries(options).map(([key, text]) => html`<option value=${key} ?selected=${key === mode}>${text}</option>`)}
      </select>
      ${mode === "own" ? html`<div class="times">${this.#hours(channel, own ?? this.value ?? {})}</div>` : nothing}
    </div>`;
  }

  #hours(channel, own) {
    const input = (name, label, time) => {
      const id = `${channel}-${name}`;
      return this.#field(id, html`<span class="hidden">${CHANNELS[channel]}: </span>${label}`, html`<input type="time" id=${id}
        name=${id} required .value=${shortTime(time)} aria-invalid=${this.#invalid(id)} aria-describedby="${id}-error" />`);
    };
    return [input("start", "From", own.start ?? "22:00"), input("end", "To", own.end ?? "08:00")];
  }

  #field(name, label, input) {
    return html`<div class="field"><label for=${name}>${label}</label>${input}${this.#error(name)}</div>`;
  }

  #error(name) {
    return html`<p class="error" id="${name}-error" ?hidden=${!this.errors[name]}>${this.errors[name]}</p>`;
  }

  #invalid(name) {
    return this.errors[name] ? "true" : "false";
  }

  #zones(chosen) {
    const zones = new Set(["UTC", ...Intl.supportedValuesOf("timeZone")]);
    if (chosen) zones.add(chosen);
    return html`
      <option value="" ?selected=${!chosen}>As in my account</option>
      ${[...zones].sort().map((zone) => html`<option value=${zone} ?selected=${zone === chosen}>${zone.replaceAll("_", " ")}</option>`)}
    `;
  }

  async #submitted(event) {
    event.preventDefault();
    const data = new FormData(event.target);
    const value = {
      enabled: data.has("enabled"),
      start: data.get("start"),
      end: data.get("end"),
      days: data.getAll("days").map(Number),
      time_zone: data.get("time_zone"),
    };
    value.channels = Object.fromEntries(Object.keys(CHANNELS).map((name) => [name, channelFrom(data, name)]));
    this.busy = true;
    this.errors = {};
    this.failure = "";
    try {
      await this.save(value);
    } catch (error) {
      await this.#refused(error);
    }
    this.busy = false;
  }

  async #refused(error) {
    const found = {};
    for (const { attr, detail } of error.errors ?? []) {
      const path = (attr ?? "").replace(/^quiet_hours\.?/, "").replace(/^channels\./, "");
      if (path) found[path.split(".").slice(0, 2).join("-")] ??= detail;
    }
    this.errors = found;
    if (!Object.keys(found).length) this.failure = error.message;
    await this.updateComplete;
    this.renderRoot.querySelector('[aria-invalid="true"]')?.focus();
  }
}

const shortTime = (time) => time.slice(0, 5);

/** What the form says of one channel: null for the same as for all. */
function channelFrom(data, name) {
  const mode = data.get(`${name}-mode`);
  if (mode === "same") return null;
  return mode === "none"
    ? { enabled: false }
    : { enabled: true, start: data.get(`${name}-start`), end: data.get(`${name}-end`) };
}

/** "Mon" to "Sun", Monday first as in the API. */
function dayNames() {
  const words = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { weekday: "short", timeZone: "UTC" });
  // 1 January 2024 was a Monday.
  return Array.from({ length: DAYS }, (_, day) => words.format(Date.UTC(2024, 0, 1 + day)));
}

if (!customElements.get("castcomm-quiet-hours")) customElements.define("castcomm-quiet-hours", CastCommQuietHours);
