/** `<castcomm-conversation>`: one thread, its timeline and its composer; used by the chat. */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { repeat } from "../vendor/lit/directives/repeat.js";
import { avatarStyles, conversationStyles } from "./chat-styles.js";
import { ConversationStore } from "./conversation-store.js";
import { clockTime, dayName, fullTime, initials, withLinks } from "./format.js";
import * as icons from "./icons.js";
import { controls, tokens } from "./styles.js";

const GROUP_MS = 5 * 60_000; // messages of one person within this stand together
const NEAR_END_PX = 80;

class CastCommConversation extends LitElement {
  static styles = [tokens, controls, avatarStyles, conversationStyles];

  static properties = {
    thread: {},
    me: {},
    session: { attribute: false },
    nameOf: { attribute: false },
    unseen: { state: true },
    spoken: { state: true },
  };

  #store = null;
  #atEnd = true;
  #height = 0;
  #onState = () => this.requestUpdate();
  #onVisible = () => this.#lookedAt();

  constructor() {
    super();
    this.unseen = 0;
    this.spoken = "";
  }

  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("visibilitychange", this.#onVisible);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("visibilitychange", this.#onVisible);
    this.session?.connection.removeEventListener("state", this.#onState);
    this.#store?.stop();
    this.#store = null;
  }

  willUpdate(changed) {
    if (changed.has("thread") || changed.has("session")) this.#open();
  }

  #open() {
    this.#store?.stop();
    this.#atEnd = true;
    this.#height = 0;
    this.unseen = 0;
    this.spoken = "";
    this.#store = new ConversationStore({ ...this.session, id: this.thread, me: this.me });
    this.#store.addEventListener("change", () => this.requestUpdate());
    this.#store.addEventListener("message", ({ detail }) => this.#arrived(detail));
    this.session.connection.addEventListener("state", this.#onState);
    this.#store.start();
  }

  /** Put the cursor into the composer, where there is one. */
  focusComposer() {
    this.renderRoot.querySelector("textarea")?.focus();
  }

  render() {
    const store = this.#store;
    return html`
      <div class="top">${this.#head(store)} ${this.#connection()}</div>
      <div
        class="timeline"
        role="log"
        aria-label="Messages"
        aria-live="off"
        tabindex="0"
        @scroll=${this.#scrolled}
      >
        ${this.#timeline(store)}
        ${this.unseen
          ? html`<button class="to-end primary" @click=${this.#toEnd}>${icons.down} ${this.unseen} new</button>`
          : nothing}
      </div>
      ${this.#composer(store)}
      <p class="hidden" role="status">${this.spoken}</p>
    `;
  }

  #head(store) {
    const name = store.thread ? this.nameOf(store.thread) : "";
    return html`
      <header class="head">
        <button class="back quiet only-icon" aria-label="Back to conversations" @click=${this.#leave}>
          ${icons.back}
        </button>
        <span class="avatar" aria-hidden="true">${name ? initials(name) : ""}</span>
        <div class="who">
          <h2>${name || "Conversation"}</h2>
          <p class="status">${this.#typing(store) || this.#circle(store) || nothing}</p>
        </div>
      </header>
    `;
  }

  #typing(store) {
    const names = [...store.typing.values()].map(({ name }) => name);
    if (!names.length) return "";
    if (names.length === 1) return `${names[0]} is typing…`;
    return names.length === 2 ? `${names[0]} and ${names[1]} are typing…` : "Several people are typing…";
  }

  #circle(store) {
    const { thread } = store;
    if (!thread || thread.kind === "direct") return "";
    const count = thread.participant_count ?? thread.participants.length;
    return count === 1 ? "1 person" : `${count} people`;
  }

  #connection() {
    const { state } = this.session.connection;
    if (state === "waiting") {
      return html`<p class="offline" role="status">No connection. Messages are sent when it is back.</p>`;
    }
    if (state === "refused") return html`<p class="offline error" role="alert">You are signed out. Please sign in again.</p>`;
    return nothing;
  }

  #timeline(store) {
    if (store.error && !store.messages.length) {
      return html`<div class="empty" role="alert">
        <p>${store.error.message}</p>
        <p><button class="link" @click=${() => store.load()}>Try again</button></p>
      </div>`;
    }
    if (store.loading && !store.thread) return html`<p class="empty">Loading…</p>`;
    const nothingYet = !store.messages.length && !store.outbox.length;
    return html`
      ${store.hasOlder
        ? html`<button class="older quiet" ?disabled=${store.loading} @click=${() => store.loadOlder()}>
            ${store.loading ? "Loading…" : "Show earlier messages"}
          </button>`
        : nothing}
      ${store.error ? html`<p class="notice error" role="alert">${store.error.message}</p>` : nothing}
      ${nothingYet ? html`<p class="empty">No messages yet. Say hello.</p>` : nothing}
      ${repeat(
        store.messages,
        (message) => message.client_id || message.id,
        (message, index) => this.#message(store, message, store.messages[index - 1]),
      )}
      ${repeat(
        store.outbox,
        (entry) => entry.client_id,
        (entry) => this.#unsent(store, entry),
      )}
    `;
  }

  #message(store, message, previous) {
    const own = message.sender.id === store.me;
    const day = dayName(message.created_at);
    const newDay = !previous || dayName(previous.created_at) !== day;
    const first = newDay || previous.sender.id !== message.sender.id || gap(previous, message) > GROUP_MS;
    const named = first && !own && store.thread?.kind !== "direct";
    return html`
      ${newDay ? html`<h3 class="day">${day}</h3>` : nothing}
      <div class="message ${own ? "own" : ""} ${first ? "first" : ""} ${message.deleted_at ? "gone" : ""}">
        ${named
          ? html`<span class="sender">${message.sender.display_name}</span>`
          : html`<span class="hidden">${own ? "You" : message.sender.display_name}:</span>`}
        ${message.deleted_at
          ? html`<div class="bubble">This message was deleted.</div>`
          : html`<div class="bubble">${linked(message.content)}</div>`}
        ${this.#note(store, message, own)}
      </div>
    `;
  }

  #note(store, message, own) {
    const at = store.messages.indexOf(message);
    const next = store.messages[at + 1];
    const lastOfGroup = !next || next.sender.id !== message.sender.id || gap(message, next) > GROUP_MS;
    const readers = own && !next && !store.outbox.length ? store.readersOf(message) : [];
    if (!lastOfGroup && !message.edited_at) return nothing;
    const read = store.thread?.kind === "direct" ? "Read" : `Read by ${readers.join(", ")}`;
    return html`<div class="note">
      <time datetime=${message.created_at} title=${fullTime(message.created_at)}>${clockTime(message.created_at)}</time>
      ${message.edited_at ? html`<span>edited</span>` : nothing}
      ${readers.length ? html`<span>${read}</span>` : nothing}
    </div>`;
  }

  #unsent(store, entry) {
    const failed = entry.state === "failed";
    return html`
      <div class="message own first ${failed ? "unsent" : ""}" data-state=${entry.state}>
        <span class="hidden">You:</span>
        <div class="bubble">${linked(entry.content)}</div>
        ${failed
          ? html`<div class="note error" role="alert">
              ${icons.alert} Not sent. ${entry.error}
              <button class="link" @click=${() => store.retry(entry.client_id)}>Try again</button>
              <button class="link" @click=${() => store.discard(entry.client_id)}>Discard</button>
            </div>`
          : html`<div class="note">${icons.clock} ${entry.state === "sending" ? "Sending…" : "Waiting…"}</div>`}
      </div>
    `;
  }

  #composer(store) {
    const own = store.thread?.participants.find(({ user }) => user.id === store.me);
    if (own?.role === "read_only") return html`<p class="read-only">You can read here, but not write.</p>`;
    return html`
      <form class="composer" @submit=${this.#submitted}>
        <label class="hidden" for="text">Message</label>
        <textarea
          id="text"
          rows="1"
          maxlength="10000"
          placeholder="Write a message"
          @input=${this.#typed}
          @keydown=${this.#onKey}
          @blur=${() => store.stopTyping()}
        ></textarea>
        <button class="primary" aria-label="Send">${icons.send}<span class="word">Send</span></button>
      </form>
    `;
  }

  updated() {
    const timeline = this.renderRoot.querySelector(".timeline");
    if (this.#atEnd) timeline.scrollTop = timeline.scrollHeight;
    // Older messages went in above: what was looked at stays where it was.
    else if (this.#height && timeline.scrollTop < NEAR_END_PX) timeline.scrollTop += timeline.scrollHeight - this.#height;
    this.#height = timeline.scrollHeight;
    this.#lookedAt();
  }

  #scrolled({ currentTarget: timeline }) {
    this.#atEnd = timeline.scrollHeight - timeline.scrollTop - timeline.clientHeight < NEAR_END_PX;
    this.#lookedAt();
  }

  #lookedAt() {
    if (!this.#atEnd || document.visibilityState !== "visible") return;
    if (this.unseen) this.unseen = 0;
    this.#store?.markRead();
  }

  #arrived(message) {
    if (message.sender.id === this.#store.me) return;
    this.spoken = `${message.sender.display_name}: ${message.content}`;
    if (!this.#atEnd) this.unseen += 1;
  }

  #toEnd() {
    this.#atEnd = true;
    this.requestUpdate();
    this.focusComposer();
  }

  #typed({ target }) {
    if (target.value.trim()) this.#store.noteTyping();
    else this.#store.stopTyping();
  }

  #onKey(event) {
    // On a phone, Enter is a new line: the button is under the thumb.
    const newLine = event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches;
    if (event.key === "Enter" && !newLine) this.#submitted(event);
  }

  #submitted(event) {
    event.preventDefault();
    const field = this.renderRoot.querySelector("textarea");
    const content = field.value.trim();
    if (!content) return;
    this.#atEnd = true;
    this.#store.send(content);
    field.value = "";
    field.focus();
  }

  #leave() {
    this.dispatchEvent(new CustomEvent("leave"));
  }
}

const gap = (one, other) => new Date(other.created_at) - new Date(one.created_at);

/** Text with its web addresses as links; everything else stays text. */
const linked = (text) =>
  withLinks(text).map((part) =>
    typeof part === "string"
      ? part
      : html`<a href=${part.href} target="_blank" rel="noopener noreferrer nofollow ugc">${part.text}</a>`,
  );

if (!customElements.get("castcomm-conversation")) {
  customElements.define("castcomm-conversation", CastCommConversation);
}
