/**
 * `<castcomm-inbox>`: a person's notifications, live.
 *
 *     <script type="module" src="https://cast.example/static/castcomm/inbox.js"></script>
 *     <castcomm-inbox mode="bell" base-url="https://cast.example" token="…"></castcomm-inbox>
 *
 * Attributes: `mode` ("page", or "bell" for a button with a count that opens the list), `base-url`, `organization`,
 * `token`, `ticket`, `inbox-url` (where "See all" leads), `tabs` (JSON: `[{"label", "category", "tag"}]`). Property
 * `getToken`: see session.js. Styling: see styles.js. Fires `castcomm-unread` with the number of unread notifications
 * and `castcomm-action` with `{id, key}` when a button of a notification is used.
 */

import { LitElement, html, nothing } from "../vendor/lit/lit-element.js";
import { repeat } from "../vendor/lit/directives/repeat.js";
import { fullTime, relativeTime, safeUrl, shortCount } from "./format.js";
import * as icons from "./icons.js";
import { bellStyles, inboxStyles } from "./inbox-styles.js";
import { InboxStore } from "./inbox-store.js";
import { snoozeForm } from "./inbox-snooze.js";
import { openSession, sessionProperties } from "./session.js";
import { controls, tokens } from "./styles.js";

const CLOCK_MS = 30_000;
const UNDO_MS = 10_000;
const LABELS = { all: "All", unread: "Unread" };
const LAST_LABELS = { snoozed: "Snoozed", archived: "Archived" };
const EMPTY = {
  all: ["Nothing here yet", "New notifications appear here as they arrive."],
  unread: ["All read", "You are up to date."],
  snoozed: ["Nothing snoozed", "What you put aside waits here until its time."],
  archived: ["Nothing archived", "What you archive is kept here."],
  tab: ["Nothing here", "What arrives for this tab appears here."],
};

export class CastCommInbox extends LitElement {
  static styles = [tokens, controls, inboxStyles, bellStyles];

  static properties = {
    ...sessionProperties,
    mode: { reflect: true },
    inboxUrl: { attribute: "inbox-url" },
    tabs: { type: Array },
    open: { state: true },
    snoozing: { state: true },
    notice: { state: true },
    spoken: { state: true },
  };

  #store = null;
  #clock = 0;
  #noticeTimer = 0;
  #opensRight = false;
  #fresh = new Set();
  #onOutside = (event) => {
    if (this.open && !event.composedPath().includes(this)) this.open = false;
  };

  constructor() {
    super();
    this.mode = "page";
    this.tabs = [];
    this.open = false;
    this.snoozing = null;
    this.notice = null;
    this.spoken = "";
  }

  connectedCallback() {
    super.connectedCallback();
    // Properties that the page sets right after making the element count too.
    queueMicrotask(() => this.#start());
    document.addEventListener("pointerdown", this.#onOutside);
    this.#clock = setInterval(() => this.requestUpdate(), CLOCK_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("pointerdown", this.#onOutside);
    clearInterval(this.#clock);
    clearTimeout(this.#noticeTimer);
    this.#store?.stop();
    this.#store = null;
  }

  #start() {
    if (!this.isConnected || this.#store) return;
    this.#store = new InboxStore(openSession(this), this.tabs ?? []);
    this.#store.addEventListener("change", () => this.#changed());
    this.#store.addEventListener("arrival", ({ detail }) => this.#arrived(detail));
    this.#store.start();
  }

  #changed() {
    this.requestUpdate();
    const detail = { unread: this.#store.unread };
    this.dispatchEvent(new CustomEvent("castcomm-unread", { detail, bubbles: true, composed: true }));
    const visible = this.mode === "page" || this.open;
    if (visible && document.visibilityState === "visible" && !this.#store.loading) this.#store.markSeen();
  }

  #arrived(item) {
    this.#fresh.add(item.id);
    this.spoken = `New notification: ${item.title}`;
  }

  render() {
    const store = this.#store;
    if (!store) return nothing;
    const spoken = html`<p class="hidden" role="status">${this.spoken}</p>`;
    if (this.mode === "bell") return html`${this.#bell(store)}${spoken}`;
    return html`${this.#toolbar(store)} ${this.#messages(store)} ${this.#list(store)} ${spoken}`;
  }

  #bell(store) {
    const label = store.unread ? `Notifications, ${store.unread} unread` : "Notifications";
    return html`
      <button
        class="bell quiet only-icon"
        aria-label=${label}
        aria-expanded=${this.open}
        aria-haspopup="dialog"
        @click=${this.#toggle}
      >
        ${icons.bell}
        ${store.unread ? html`<span class="badge ${store.unseen ? "" : "seen"}" aria-hidden="true">${shortCount(store.unread)}</span>` : nothing}
      </button>
      ${this.open ? this.#panel(store) : nothing}
    `;
  }

  #panel(store) {
    return html`
      <div class="panel ${this.#opensRight ? "opens-right" : ""}" role="dialog" aria-labelledby="panel-title" tabindex="-1" @keydown=${this.#onKey}>
        <div class="panel-head">
          <h2 id="panel-title">Notifications</h2>
          ${this.#readAll(store)}
          <button class="quiet only-icon" aria-label="Close" @click=${this.#toggle}>${icons.close}</button>
        </div>
        <div class="panel-body" tabindex="0" role="group" aria-labelledby="panel-title">
          ${this.#messages(store)} ${this.#list(store)}
        </div>
        ${this.inboxUrl ? html`<a class="panel-foot" href=${this.inboxUrl}>See all</a>` : nothing}
      </div>
    `;
  }

  #toolbar(store) {
    return html`
      <div class="bar">
        <div class="filters" role="group" aria-label="Show">
          ${this.#lists().map(
            ([filter, label]) => html`
              <button aria-pressed=${store.filter === filter} @click=${() => this.#show(filter)}>
                ${label}${filter === "unread" && store.unread ? html` (${store.unread})` : nothing}
              </button>
            `,
          )}
        </div>
        <div class="push-right">${this.#readAll(store)}</div>
      </div>
    `;
  }

  #lists() {
    const own = (this.tabs ?? []).map((tab, at) => [`tab-${at}`, tab.label]);
    return [...Object.entries(LABELS), ...own, ...Object.entries(LAST_LABELS)];
  }

  #readAll(store) {
    return html`<button
      class="read-all quiet"
      title="Mark all read"
      ?disabled=${!store.unread}
      @click=${this.#markAllRead}
    >
      ${icons.checkAll}<span class="word">Mark all read</span>
    </button>`;
  }

  #messages(store) {
    const failed = store.error && store.items.length;
    return html`
      ${failed
        ? html`<p class="notice error" role="alert">
            ${store.error.message} <button class="link" @click=${() => this.#show(store.filter)}>Try again</button>
          </p>`
        : nothing}
      ${this.notice
        ? html`<p class="notice ${this.notice.failed ? "error" : ""}" role=${this.notice.failed ? "alert" : "status"}>
            ${this.notice.text}
            ${this.notice.undo ? html`<button class="link" @click=${this.notice.undo}>Undo</button>` : nothing}
          </p>`
        : nothing}
    `;
  }

  #list(store) {
    if (store.loading && !store.items.length) return this.#waiting();
    if (!store.items.length) return store.error ? this.#broken(store) : this.#nothing(store);
    return html`
      <ul class="list" aria-label="Notifications" aria-busy=${store.loading}>
        ${repeat(
          store.items,
          (item) => item.id,
          (item) => this.#row(item),
        )}
      </ul>
      ${store.hasMore
        ? html`<button class="more quiet" ?disabled=${store.loading} @click=${() => store.more()}>
            ${store.loading ? "Loading…" : "Show older"}
          </button>`
        : nothing}
    `;
  }

  #waiting() {
    return html`<div class="list" role="status">
      <span class="hidden">Loading notifications</span>
      <div class="skeleton"></div>
      <div class="skeleton"></div>
      <div class="skeleton"></div>
    </div>`;
  }

  #broken(store) {
    return html`<div class="list empty" role="alert">
      <strong>The inbox could not be loaded</strong>
      <p>${store.error.message}</p>
      <p><button class="link" @click=${() => this.#show(store.filter)}>Try again</button></p>
    </div>`;
  }

  #nothing(store) {
    const [headline, text] = EMPTY[store.filter] ?? EMPTY.tab;
    return html`<div class="list empty"><strong>${headline}</strong>${text}</div>`;
  }

  #row(item) {
    const store = this.#store;
    const isUnread = !item.read_at;
    const urgent = item.priority === "urgent" || item.priority === "high";
    return html`
      <li
        class="item ${isUnread ? "is-unread" : ""} ${this.#fresh.has(item.id) ? "is-new" : ""}"
        data-id=${item.id}
      >
        <div class="title" role="heading" aria-level=${this.mode === "bell" ? 3 : 2}>
          ${isUnread ? html`<span class="hidden">Unread: </span>` : nothing}${this.#title(item)}
        </div>
        ${item.body ? html`<p class="body">${item.body}</p>` : nothing}
        <p class="meta">
          <time datetime=${item.created_at} title=${fullTime(item.created_at)}>${relativeTime(item.created_at)}</time>
          ${item.category ? html`<span>${categoryName(item.category)}</span>` : nothing}
          ${(item.tags ?? []).map((tag) => html`<span class="tag">${tag}</span>`)}
          ${item.snoozed_until && store.filter === "snoozed"
            ? html`<span>Until <time datetime=${item.snoozed_until}>${fullTime(item.snoozed_until)}</time></span>`
            : nothing}
          ${urgent ? html`<span class="urgent">Important</span>` : nothing}
        </p>
        ${item.actions?.length
          ? html`<div class="choices">${item.actions.map((action) => this.#choice(item, action))}</div>`
          : nothing}
        ${this.snoozing === item.id ? this.#snoozeForm(item) : nothing} ${this.#rowActions(item, isUnread)}
      </li>
    `;
  }

  #title(item) {
    const text = item.title || "Notification";
    const href = safeUrl(item.action_url, this.baseUrl || window.location.origin);
    if (!href) return text;
    return html`<a href=${href} @click=${() => this.#followed(item)}>${text}</a>`;
  }

  /** One of the notification's own buttons; one with an address is a link. */
  #choice(item, action) {
    const done = Boolean(action.done_at);
    const look = `choice ${action.style === "primary" ? "primary" : ""} ${done ? "is-done" : ""}`;
    const label = html`${done ? icons.check : nothing}${action.label}${done
      ? html`<span class="hidden"> (done)</span>`
      : nothing}`;
    const href = safeUrl(action.url, this.baseUrl || window.location.origin);
    if (href) return html`<a class=${look} href=${href} @click=${() => this.#use(item, action, true)}>${label}</a>`;
    return html`<button class=${look} aria-pressed=${done} @click=${() => this.#use(item, action, !done)}>
      ${label}
    </button>`;
  }

  #snoozeForm(item) {
    return snoozeForm({
      about: item.title || "notification",
      onChoose: (event, given) => this.#snooze(event, item, given),
      onCancel: (event) => {
        const row = event.currentTarget.closest(".item");
        this.snoozing = null;
        row.querySelector(".snooze-button")?.focus();
      },
    });
  }

  #snoozeButton(item, about) {
    if (item.archived_at) return nothing;
    if (this.#store.filter === "snoozed") {
      return html`<button
        class="quiet only-icon"
        title="Bring back now"
        aria-label="Bring back now: ${about}"
        @click=${(event) =>
          this.#actOnRow(event, () => this.#store.unsnooze(item.id), { text: "Back in the inbox." })}
      >
        ${icons.restore}
      </button>`;
    }
    const isOpen = this.snoozing === item.id;
    return html`<button
      class="quiet only-icon snooze-button"
      title="Snooze"
      aria-label="Snooze: ${about}"
      aria-expanded=${isOpen}
      @click=${() => this.#openSnooze(isOpen ? null : item.id)}
    >
      ${icons.clock}
    </button>`;
  }

  #rowActions(item, isUnread) {
    const archived = Boolean(item.archived_at);
    const about = item.title || "notification";
    return html`
      <div class="actions">
        ${this.#snoozeButton(item, about)}
        <button
          class="quiet only-icon"
          title=${isUnread ? "Mark read" : "Mark unread"}
          aria-label="${isUnread ? "Mark read" : "Mark unread"}: ${about}"
          @click=${(event) => this.#actOnRow(event, () => this.#store.setRead(item.id, isUnread))}
        >
          ${isUnread ? icons.check : icons.unread}
        </button>
        <button
          class="quiet only-icon"
          title=${archived ? "Move to inbox" : "Archive"}
          aria-label="${archived ? "Move to inbox" : "Archive"}: ${about}"
          @click=${(event) => this.#archive(event, item, !archived)}
        >
          ${archived ? icons.restore : icons.archive}
        </button>
      </div>
    `;
  }

  async #toggle() {
    // The panel goes towards the middle of the page, wherever the bell stands.
    const { left, right } = this.getBoundingClientRect();
    this.#opensRight = left + right < document.documentElement.clientWidth;
    this.open = !this.open;
    await this.updateComplete;
    if (this.open) {
      this.renderRoot.querySelector(".panel").focus();
      this.#store.markSeen();
    } else {
      this.renderRoot.querySelector(".bell").focus();
    }
  }

  #onKey(event) {
    if (event.key === "Escape" && !event.defaultPrevented) this.#toggle();
  }

  #show(filter) {
    this.notice = null;
    this.snoozing = null;
    this.#store.load(filter);
  }

  /** Following a link takes the page away; the request goes out all the same. */
  #followed(item) {
    if (!item.read_at) this.#act(() => this.#store.setRead(item.id, true));
  }

  async #openSnooze(id) {
    this.snoozing = id;
    await this.updateComplete;
    this.renderRoot.querySelector(".snooze button")?.focus();
  }

  #snooze(event, item, given) {
    this.snoozing = null;
    const undo = () => this.#act(() => this.#store.unsnooze(item.id), { text: "Back in the inbox." });
    this.#actOnRow(event, () => this.#store.snooze(item.id, given), { text: "Snoozed.", undo });
  }

  #use(item, action, done) {
    const { id } = item;
    const { key, label } = action;
    const undo = () => this.#act(() => this.#store.setActionDone(id, key, false));
    this.#act(
      () => this.#store.setActionDone(id, key, done),
      done ? { text: `${label}: done.`, undo } : { text: `${label}: not done.` },
    );
    if (!done) return;
    const detail = { id, key };
    this.dispatchEvent(new CustomEvent("castcomm-action", { detail, bubbles: true, composed: true }));
  }

  #markAllRead() {
    this.#act(() => this.#store.markAllRead(), { text: "All notifications are marked as read." });
  }

  #archive(event, item, archived) {
    const text = archived ? "Archived." : "Moved to the inbox.";
    const undo = () => this.#act(() => this.#store.setArchived(item.id, !archived));
    this.#actOnRow(event, () => this.#store.setArchived(item.id, archived), { text, undo });
  }

  /** When the row with the focus goes, the focus goes on at its neighbour, or at the start of what is left. */
  async #actOnRow(event, change, notice = null) {
    const row = event.currentTarget.closest(".item");
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    this.#act(change, notice);
    await this.updateComplete;
    if (row.isConnected) return;
    const next = neighbour?.isConnected ? neighbour.querySelector(".actions button:last-child") : null;
    (next ?? this.renderRoot.querySelector('.filters [aria-pressed="true"], .panel'))?.focus();
  }

  /** What can be undone can be for ten seconds, and for as long as the focus is there. */
  #say(notice) {
    this.notice = notice;
    clearTimeout(this.#noticeTimer);
    if (!notice?.undo) return;
    const end = () => {
      if (this.notice !== notice) return;
      if (this.renderRoot.querySelector(".notice:focus-within")) this.#noticeTimer = setTimeout(end, UNDO_MS);
      else this.notice = null;
    };
    this.#noticeTimer = setTimeout(end, UNDO_MS);
  }

  async #act(change, notice = null) {
    this.notice = null;
    try {
      await change();
      this.#say(notice);
    } catch (error) {
      this.notice = { text: `That did not work: ${error.message}`, failed: true };
    }
  }
}

/** "account_security" reads "Account security". */
function categoryName(category) {
  const words = (category.name ?? String(category)).replaceAll(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

if (!customElements.get("castcomm-inbox")) customElements.define("castcomm-inbox", CastCommInbox);
