/** `<castcomm-person-picker>`: a dialog to choose a member; used by the chat. Fires `picked` with the member. */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { avatarStyles, pickerStyles } from "./chat-styles.js";
import { initials } from "./format.js";
import * as icons from "./icons.js";
import { controls, tokens } from "./styles.js";

const SEARCH_DELAY_MS = 200;

class CastCommPersonPicker extends LitElement {
  static styles = [tokens, controls, avatarStyles, pickerStyles];

  static properties = {
    /** A function from search text to a promise of members. */
    find: { attribute: false },
    people: { state: true },
    error: { state: true },
    busy: { state: true },
  };

  #timer = 0;
  #turn = 0;

  constructor() {
    super();
    this.people = null;
    this.error = "";
    this.busy = false;
  }

  get #dialog() {
    return this.renderRoot.querySelector("dialog");
  }

  async show() {
    this.people = null;
    this.error = "";
    this.#dialog.showModal();
    const search = this.renderRoot.querySelector("input");
    search.value = "";
    search.focus();
    await this.#search("");
  }

  close() {
    this.#dialog.close();
  }

  /** What went wrong after a choice; the dialog stays open. */
  fail(message) {
    this.error = message;
    this.busy = false;
  }

  render() {
    return html`
      <dialog aria-labelledby="title" @close=${() => clearTimeout(this.#timer)}>
        <div class="head">
          <h2 id="title">New conversation</h2>
          <button class="quiet only-icon" aria-label="Close" @click=${this.close}>${icons.close}</button>
        </div>
        <label class="search">
          Who with?
          <input type="search" autocomplete="off" placeholder="Search by name" @input=${this.#typed} />
        </label>
        ${this.error ? html`<p class="notice error" role="alert">${this.error}</p>` : nothing}
        <div class="people">${this.#list()}</div>
        <p class="hidden" role="status">${this.#spoken()}</p>
      </dialog>
    `;
  }

  #list() {
    if (!this.people) return html`<p class="empty">${this.error ? "" : "Loading…"}</p>`;
    if (!this.people.length) return html`<p class="empty">Nobody of that name.</p>`;
    return html`<ul role="list">
      ${this.people.map(
        (person) =>
          html`<li>
            <button class="person" ?disabled=${this.busy} @click=${() => this.#pick(person)}>
              <span class="avatar" aria-hidden="true">${initials(person.display_name)}</span>
              <span>
                ${person.display_name}
                ${person.domain_role ? html`<br /><span class="role">${person.domain_role}</span>` : nothing}
              </span>
            </button>
          </li>`,
      )}
    </ul>`;
  }

  #spoken() {
    if (!this.people) return "";
    return this.people.length === 1 ? "1 person" : `${this.people.length} people`;
  }

  #typed(event) {
    const text = event.target.value.trim();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(text), SEARCH_DELAY_MS);
  }

  async #search(text) {
    const turn = ++this.#turn;
    try {
      const people = await this.find(text);
      if (turn !== this.#turn) return;
      this.people = people;
      this.error = "";
    } catch (error) {
      if (turn === this.#turn) this.error = error.message;
    }
    this.busy = false;
  }

  #pick(person) {
    this.busy = true;
    this.error = "";
    this.dispatchEvent(new CustomEvent("picked", { detail: person }));
  }
}

if (!customElements.get("castcomm-person-picker")) {
  customElements.define("castcomm-person-picker", CastCommPersonPicker);
}
