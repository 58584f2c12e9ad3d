/**
 * `<castcomm-chat>`: a person's conversations, live.
 *
 * Attributes: `thread` (the id of the open one), `threads-url` (where conversations have their addresses: followed by
 * the id), and those of session.js. Fires `castcomm-thread` with `{thread}` when another one is opened or left.
 */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { repeat } from "../vendor/lit/directives/repeat.js";
import { pageSetting } from "./api.js";
import { ChatStore } from "./chat-store.js";
import { avatarStyles, chatStyles } from "./chat-styles.js";
import "./conversation.js";
import { fullTime, initials, relativeTime, shortCount } from "./format.js";
import * as icons from "./icons.js";
import "./person-picker.js";
import { openSession, sessionProperties } from "./session.js";
import { controls, tokens } from "./styles.js";

const CLOCK_MS = 30_000;

export class CastCommChat extends LitElement {
  static styles = [tokens, controls, avatarStyles, chatStyles];

  static properties = {
    ...sessionProperties,
    thread: { reflect: true },
    threadsUrl: { attribute: "threads-url" },
    me: { state: true },
  };

  #session = null;
  #store = null;
  #clock = 0;

  constructor() {
    super();
    this.thread = "";
    this.threadsUrl = "";
    this.me = "";
  }

  connectedCallback() {
    super.connectedCallback();
    // Properties that the page sets right after making the element count too.
    queueMicrotask(() => this.#start());
    this.#clock = setInterval(() => this.requestUpdate(), CLOCK_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#clock);
    this.#store?.stop();
    this.#store = null;
  }

  async #start() {
    if (!this.isConnected || this.#store) return;
    this.#session = openSession(this);
    const me = (!this.baseUrl && pageSetting("user")) || (await this.#askWho());
    if (!me || !this.isConnected || this.#store) return;
    this.#store = new ChatStore({ ...this.#session, me });
    this.#store.addEventListener("change", () => this.requestUpdate());
    this.me = me;
    this.#store.start();
  }

  async #askWho() {
    try {
      return (await this.#session.api.get("/me")).id;
    } catch (error) {
      this.failure = error.message;
      this.requestUpdate();
      return "";
    }
  }

  render() {
    const store = this.#store;
    if (!store) return this.failure ? html`<p class="empty error" role="alert">${this.failure}</p>` : nothing;
    return html`
      <section class="threads" aria-label="Conversations">
        <div class="head">
          <h2>Conversations</h2>
          <button class="quiet only-icon" aria-label="New conversation" title="New conversation" @click=${this.#pick}>
            ${icons.plus}
          </button>
        </div>
        <div class="scroll">${this.#list(store)}</div>
      </section>
      ${this.thread ? this.#conversation(store) : this.#nobody()}
      <castcomm-person-picker
        .find=${(text) => store.findMembers(text)}
        @picked=${({ detail }) => this.#picked(detail)}
      ></castcomm-person-picker>
    `;
  }

  #list(store) {
    if (store.error && !store.threads.length) {
      return html`<div class="empty" role="alert">
        <p>${store.error.message}</p>
        <button @click=${() => store.load()}>Try again</button>
      </div>`;
    }
    if (store.loading && !store.threads.length) return html`<p class="empty" role="status">Loading…</p>`;
    const shown = store.threads.filter((thread) => !thread.archived || thread.id === this.thread);
    if (!shown.length) {
      return html`<div class="empty">
        <strong>No conversations yet</strong>
        <p>Start one with somebody in your organization.</p>
        <button class="primary" @click=${this.#pick}>New conversation</button>
      </div>`;
    }
    return html`
      ${store.error ? html`<p class="notice error" role="alert">${store.error.message}</p>` : nothing}
      <ul role="list">
        ${repeat(
          shown,
          (thread) => thread.id,
          (thread) => html`<li>${this.#entry(store, thread)}</li>`,
        )}
      </ul>
      ${store.hasMore ? html`<button class="more quiet" @click=${() => store.more()}>Show more</button>` : nothing}
    `;
  }

  #entry(store, thread) {
    const name = store.nameOf(thread);
    const unread = thread.unread_count;
    const current = thread.id === this.thread;
    return html`
      <a
        class="thread ${unread ? "is-unread" : ""}"
        href="${this.threadsUrl}${thread.id}/"
        aria-current=${current ? "true" : nothing}
        @click=${(event) => this.#clicked(event, thread.id)}
      >
        <span class="avatar" aria-hidden="true">${initials(name)}</span>
        <span class="lines"><span class="name">${name}</span><span class="last">${this.#last(thread)}</span></span>
        <span class="aside">
          <time datetime=${thread.updated_at} title=${fullTime(thread.updated_at)}>${relativeTime(thread.updated_at)}</time>
          ${unread
            ? html`<span class="count"><span class="hidden">, </span>${shortCount(unread)}<span class="hidden"> unread</span></span>`
            : nothing}
        </span>
      </a>
    `;
  }

  #last({ last_message: last, kind }) {
    if (!last) return "No messages yet";
    if (last.deleted_at) return "Message deleted";
    if (last.sender.id === this.me) return `You: ${last.content}`;
    return kind === "direct" ? last.content : `${last.sender.display_name}: ${last.content}`;
  }

  #conversation(store) {
    return html`<castcomm-conversation
      .thread=${this.thread}
      .me=${this.me}
      .session=${this.#session}
      .nameOf=${(thread) => store.nameOf(thread)}
      @leave=${() => this.#open("")}
    ></castcomm-conversation>`;
  }

  #nobody() {
    return html`<div class="nobody">
      <div class="empty"><strong>Pick a conversation</strong>or start a new one.</div>
    </div>`;
  }

  #clicked(event, id) {
    // A new tab or window is the browser's business.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.#open(id);
  }

  async #open(id) {
    const left = this.thread;
    this.thread = id;
    this.dispatchEvent(new CustomEvent("castcomm-thread", { detail: { thread: id }, bubbles: true, composed: true }));
    await this.updateComplete;
    if (id) this.renderRoot.querySelector("castcomm-conversation").focusComposer();
    else this.renderRoot.querySelector(`.thread[href$="${CSS.escape(left)}/"]`)?.focus();
  }

  #pick() {
    this.renderRoot.querySelector("castcomm-person-picker").show();
  }

  async #picked(person) {
    const picker = this.renderRoot.querySelector("castcomm-person-picker");
    try {
      const thread = await this.#store.openDirect(person.id);
      picker.close();
      await this.#open(thread.id);
    } catch (error) {
      picker.fail(error.message);
    }
  }
}

if (!customElements.get("castcomm-chat")) customElements.define("castcomm-chat", CastCommChat);
