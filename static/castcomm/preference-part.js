/** What the parts of the preferences share: their session, loading, saving one thing after the other, and saying so. */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { preferencesStyles } from "./preferences-styles.js";
import { openSession, sessionProperties } from "./session.js";
import { controls, tokens } from "./styles.js";

const SAVED_MS = 4_000;

/** A part implements `fetch()`, which asks `this.api` for what it shows. */
export class PreferencePart extends LitElement {
  static properties = { ...sessionProperties, error: { state: true }, saved: { state: true } };
  static styles = [tokens, controls, preferencesStyles];

  #savedTimer = 0;
  #saving = Promise.resolve();

  constructor() {
    super();
    this.api = null;
    this.error = null;
    this.saved = null;
  }

  connectedCallback() {
    super.connectedCallback();
    // Properties that the page sets right after making the element count too.
    queueMicrotask(() => {
      this.api = openSession(this).api;
      this.load();
    });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.#savedTimer);
  }

  async load() {
    this.error = null;
    try {
      await this.fetch();
    } catch (error) {
      this.error = error;
    }
  }

  /** What is shown when loading failed. */
  renderError() {
    return html`<div class="panel empty" role="alert">
      <p>${this.error.message}</p>
      <button @click=${this.load}>Try again</button>
    </div>`;
  }

  /** What was said last; politely, or at once when it is a refusal. */
  renderSaved() {
    const { text, failed } = this.saved ?? {};
    const toast = text ? html`<span class=${failed ? "error" : ""}>${text}</span>` : nothing;
    return html`
      <div class="saved" role="status">${failed ? nothing : toast}</div>
      <div class="saved" role="alert">${failed ? toast : nothing}</div>
    `;
  }

  /** Run `act` after what is being saved, so that answers do not overtake each other; says when it was refused. */
  save(act, takeBack = () => {}) {
    this.#saving = this.#saving.then(async () => {
      try {
        await act();
      } catch (error) {
        takeBack();
        this.say(`Not saved: ${error.message}`, { failed: true });
      }
    });
    return this.#saving;
  }

  say(text, { failed = false } = {}) {
    this.saved = { text, failed };
    clearTimeout(this.#savedTimer);
    // A failure stays until the next change: it must not be missed.
    if (!failed) this.#savedTimer = setTimeout(() => (this.saved = null), SAVED_MS);
  }
}
