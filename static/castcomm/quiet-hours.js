/** `<castcomm-quiet-hours>`: the form for the hours in which nothing but critical news goes out; used by the preferences. */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { preferencesStyles } from "./preferences-styles.js";
import { controls, tokens } from "./styles.js";

const DAYS = 7;

class CastCommQuietHours extends LitElement {
  static styles = [tokens, controls, preferencesStyles];

  static properties = {
    /** {enabled, start, end, days, time_zone}; null when the person never set any. */
    value: { attribute: false },
    /** A function that saves such a value; rejects with ApiError. */
    save: { attribute: false },
    errors: { state: true },
    failure: { state: true },
    busy: { state: true },
  };

  constructor() {
    super();
    this.value = null;
    this.errors = {};
    this.failure = "";
    this.busy = false;
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
          <div class="save">
            <button class="primary" ?disabled=${this.busy}>${this.busy ? "Saving…" : "Save quiet hours"}</button>
            ${this.failure ? html`<p class="error" role="alert">${this.failure}</p>` : nothing}
          </div>
        </div>
      </form>
    `;
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
    this.busy = true;
    this.errors = {};
    this.failure = "";
    try {
      await this.save(value);
    } catch (error) {
      this.value = value;
      await this.#refused(error);
    }
    this.busy = false;
  }

  async #refused(error) {
    const found = {};
    for (const { attr, detail } of error.errors ?? []) {
      const [field] = (attr ?? "").replace(/^quiet_hours\.?/, "").split(".");
      if (field) found[field] ??= detail;
    }
    this.errors = found;
    if (!Object.keys(found).length) this.failure = error.message;
    await this.updateComplete;
    this.renderRoot.querySelector('[aria-invalid="true"]')?.focus();
  }
}

const shortTime = (time) => time.slice(0, 5);

/** "Mon" to "Sun", Monday first as in the API. */
function dayNames() {
  const words = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { weekday: "short", timeZone: "UTC" });
  // 1 January 2024 was a Monday.
  return Array.from({ length: DAYS }, (_, day) => words.format(Date.UTC(2024, 0, 1 + day)));
}

if (!customElements.get("castcomm-quiet-hours")) customElements.define("castcomm-quiet-hours", CastCommQuietHours);
