/** A person's inbox as this page knows it: the rows, the count, and how both stay true. */

const PAGE = 20;
const COUNT_DELAY_MS = 250;
const PRESET_GUESS_MS = 3_600_000;

const isSnoozed = (item) => Boolean(item.snoozed_until) && Date.parse(item.snoozed_until) > Date.now();
const isInPlace = (item) => !item.archived_at && !isSnoozed(item);

/** What each of the fixed lists asks for, and which rows belong into it. */
export const FILTERS = {
  all: { query: { archived: "false" }, fits: isInPlace },
  unread: { query: { archived: "false", read: "false" }, fits: (item) => isInPlace(item) && !item.read_at },
  snoozed: { query: { archived: "false", snoozed: "true" }, fits: (item) => !item.archived_at && isSnoozed(item) },
  archived: { query: { archived: "true" }, fits: (item) => Boolean(item.archived_at) },
};

/** The list of a page's own tab: `{category}`, `{tag}`, or both. */
const tabFilter = ({ category, tag }) => ({
  query: { archived: "false", category, tag },
  fits: (item) =>
    isInPlace(item) && (!category || item.category === category) && (!tag || Boolean(item.tags?.includes(tag))),
});

/**
 * Events: `change` whenever anything that is shown changed; `arrival` with the new notification.
 * A change is shown at once and taken back when the server refuses it; the caller gets the error.
 */
export class InboxStore extends EventTarget {
  items = [];
  filter = "all";
  unread = 0;
  unseen = 0;
  loading = true;
  error = null;

  #lists;
  #api;
  #connection;
  #seq = null;
  #head = 0; // the highest number heard of, whether what it stands for is here or not
  #reads = 0;
  #next = null;
  #turn = 0;
  #countTimer = 0;
  #catching = false;
  #again = false;
  #listeners = new AbortController();

  /** @param {{label: string, category?: string, tag?: string}[]} tabs lists besides FILTERS: "tab-0", "tab-1" … */
  constructor({ api, connection }, tabs = []) {
    super();
    this.#lists = { ...FILTERS, ...Object.fromEntries(tabs.map((tab, at) => [`tab-${at}`, tabFilter(tab)])) };
    this.#api = api;
    this.#connection = connection;
  }

  get hasMore() {
    return this.#next !== null;
  }

  /** Load the inbox and keep it up to date until `stop`. */
  start() {
    const { signal } = this.#listeners;
    const listen = (event, handle) => this.#connection.addEventListener(event, handle, { signal });
    listen("push:notification", ({ detail: frame }) => this.#received(frame));
    // What is being loaded may be older than what the server says was lost.
    listen("resync", () => (this.loading ? this.load(this.filter) : this.catchUp()));
    listen("ready", ({ detail }) => this.#noticeHead(detail.inbox_seq));
    listen("heads", ({ detail }) => this.#noticeHead(detail.inbox_seq));
    this.#connection.retain();
    return this.load(this.filter);
  }

  stop() {
    this.#listeners.abort();
    clearTimeout(this.#countTimer);
    this.#connection.release();
  }

  /** Show another filter, or the same one afresh. */
  async load(filter) {
    this.filter = filter;
    this.loading = true;
    this.error = null;
    const turn = ++this.#turn;
    this.#changed();
    try {
      // The counter is read before the rows: what happens in between comes again, which does no harm.
      const counts = await this.#api.get("/notifications/count");
      const page = await this.#api.get("/notifications", { ...this.#lists[filter].query, limit: PAGE });
      if (turn !== this.#turn) return;
      this.#counted(counts);
      this.items = page.results;
      this.#next = page.next;
      this.#readAsOf(counts.inbox_seq);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
    }
    this.loading = false;
    this.#changed();
  }

  /** The next, older page. */
  async more() {
    if (!this.#next || this.loading) return;
    const turn = this.#turn;
    const seq = this.#seq;
    this.loading = true;
    this.#changed();
    try {
      const page = await this.#api.follow(this.#next);
      if (turn !== this.#turn) return;
      const known = new Set(this.items.map((item) => item.id));
      this.items = [...this.items, ...page.results.filter((item) => !known.has(item.id))];
      this.#next = page.next;
      this.error = null;
      this.#readAsOf(seq);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.error = error;
    }
    this.loading = false;
    this.#changed();
  }

  setRead(id, read) {
    const read_at = read ? new Date().toISOString() : null;
    return this.#change(id, { read_at }, `/notifications/${id}/${read ? "read" : "unread"}`);
  }

  setArchived(id, archived) {
    const archived_at = archived ? new Date().toISOString() : null;
    return this.#change(id, { archived_at }, `/notifications/${id}/${archived ? "archive" : "unarchive"}`);
  }

  /** Put aside: `{preset}`, or `{until}` as ISO 8601. */
  snooze(id, given) {
    // The end of a preset is the server's to say, in the person's own zone.
    const snoozed_until = given.until ?? new Date(Date.now() + PRESET_GUESS_MS).toISOString();
    return this.#change(id, { snoozed_until }, `/notifications/${id}/snooze`, given);
  }

  unsnooze(id) {
    return this.#change(id, { snoozed_until: null }, `/notifications/${id}/unsnooze`);
  }

  /** Note that a button of a row was used, or that it was not. */
  setActionDone(id, key, done) {
    const item = this.items.find((known) => known.id === id);
    const moment = new Date().toISOString();
    const actions = item?.actions.map((action) =>
      action.key === key ? { ...action, done_at: done ? moment : null } : action,
    );
    const fields = done ? { actions, read_at: item?.read_at ?? moment } : { actions };
    return this.#change(id, fields, `/notifications/${id}/actions/${key}/${done ? "done" : "undone"}`);
  }

  async markAllRead() {
    const before = { items: this.items, unread: this.unread };
    const read_at = new Date().toISOString();
    this.items = this.items
      .map((item) => ({ ...item, read_at: item.read_at ?? read_at }))
      .filter(this.#lists[this.filter].fits);
    this.unread = 0;
    this.#changed();
    try {
      await this.#api.post("/notifications/mark-read", { all: true });
    } catch (error) {
      Object.assign(this, before);
      this.#changed();
      throw error;
    }
    this.#countSoon();
  }

  /** Tell the server that the person has laid eyes on what is listed. Not worth an error message. */
  async markSeen() {
    const ids = this.items.filter((item) => !item.seen_at).map((item) => item.id);
    if (!ids.length) return;
    const seen_at = new Date().toISOString();
    this.items = this.items.map((item) => ({ ...item, seen_at: item.seen_at ?? seen_at }));
    this.unseen = 0;
    this.#changed();
    try {
      await this.#api.post("/notifications/mark-seen", { ids });
    } catch {
      this.#countSoon();
    }
  }

  /** Take in everything that changed after the last number this page has. */
  async catchUp() {
    if (this.#seq === null) return;
    if (this.#catching) {
      this.#again = true;
      return;
    }
    this.#catching = true;
    const reads = this.#reads;
    try {
      const { results, inbox_seq, complete } = await this.#api.get("/notifications", { since_seq: this.#seq });
      if (reads !== this.#reads) {
        // Rows were read meanwhile that may be older than where this began.
        this.#again = true;
      } else if (complete) {
        for (const item of results) this.#merge(item);
        this.#seq = Math.max(this.#seq, inbox_seq);
        this.#countSoon();
      } else {
        // Too much was missed to tell change by change.
        await this.load(this.filter);
      }
    } catch (error) {
      this.error = error;
    } finally {
      this.#catching = false;
    }
    this.#changed();
    if (this.#again) {
      this.#again = false;
      await this.catchUp();
    }
  }

  #received(frame) {
    if (this.#seq !== null && frame.seq === this.#seq + 1) {
      this.#merge(frame.data);
      this.#countSoon();
      this.#changed();
    }
    this.#noticeHead(frame.seq);
  }

  /** The inbox has come to this number; one that is heard before the rows are there is kept until they are. */
  #noticeHead(head = 0) {
    this.#head = Math.max(this.#head, head);
    if (this.#seq !== null && this.#head > this.#seq) this.catchUp();
  }

  /** Rows came that are as old as this number: a change that was heard of while they travelled may not be in them. */
  #readAsOf(seq) {
    this.#seq = seq;
    this.#reads += 1;
    this.#noticeHead();
  }

  #merge(item) {
    if (item.seq > (this.#seq ?? 0)) this.#seq = item.seq;
    const at = this.items.findIndex((known) => known.id === item.id);
    if (at >= 0 && this.items[at].seq > item.seq) return;
    const others = this.items.filter((known) => known.id !== item.id);
    if (!this.#lists[this.filter].fits(item)) {
      this.items = others;
      return;
    }
    const place = others.findIndex((known) => comesBefore(item, known));
    // Older than everything listed: it belongs to a page that is not loaded yet.
    if (place < 0 && this.hasMore && at < 0) return;
    others.splice(place < 0 ? others.length : place, 0, item);
    this.items = others;
    if (at < 0 && !item.read_at) this.dispatchEvent(new CustomEvent("arrival", { detail: item }));
  }

  async #change(id, fields, path, body = {}) {
    const before = this.items;
    const old = before.find((item) => item.id === id);
    const unreadBefore = this.unread;
    if (old) {
      const changed = { ...old, ...fields };
      this.unread += countsAsUnread(changed) - countsAsUnread(old);
      this.items = this.#lists[this.filter].fits(changed)
        ? before.map((item) => (item.id === id ? changed : item))
        : before.filter((item) => item.id !== id);
      this.#changed();
    }
    try {
      const answer = await this.#api.post(path, body);
      if (answer?.id && old) {
        this.items = this.items.map((item) => (isOlder(item, answer) ? { ...item, ...answer } : item));
      }
    } catch (error) {
      this.#putBack(old, unreadBefore);
      throw error;
    }
    if (!old) await this.load(this.filter);
    this.#countSoon();
    this.#changed();
  }

  #putBack(old, unreadBefore) {
    const present = this.items.find((item) => item.id === old?.id);
    if (old && !(present?.seq > old.seq)) {
      // Only this row, and only if nothing newer came: others may have changed while the server was asked.
      const others = this.items.filter((item) => item.id !== old.id);
      const place = others.findIndex((known) => comesBefore(old, known));
      others.splice(place < 0 ? others.length : place, 0, old);
      this.items = others;
    }
    this.unread = unreadBefore;
    this.#countSoon();
    this.#changed();
  }

  #countSoon() {
    clearTimeout(this.#countTimer);
    this.#countTimer = setTimeout(() => this.#count(), COUNT_DELAY_MS);
  }

  async #count() {
    try {
      this.#counted(await this.#api.get("/notifications/count"));
      this.#changed();
    } catch {
      // The number on the badge is a convenience; the next change or heartbeat corrects it.
      this.dispatchEvent(new CustomEvent("stale"));
    }
  }

  #counted({ unread, unseen }) {
    this.unread = unread;
    this.unseen = unseen;
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

const isOlder = (item, answer) => item.id === answer.id && item.seq <= answer.seq;

const countsAsUnread = (item) => Number(!item.read_at && isInPlace(item));

const comesBefore = (one, other) =>
  one.created_at > other.created_at || (one.created_at === other.created_at && one.id > other.id);
