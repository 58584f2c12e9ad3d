/** A person's inbox as this page knows it: the rows, the count, and how both stay true. */

const PAGE = 20;
const COUNT_DELAY_MS = 250;

export const FILTERS = {
  all: { query: { archived: "false" }, fits: (item) => !item.archived_at },
  unread: { query: { archived: "false", read: "false" }, fits: (item) => !item.archived_at && !item.read_at },
  archived: { query: { archived: "true" }, fits: (item) => Boolean(item.archived_at) },
};

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

  #api;
  #connection;
  #seq = null;
  #next = null;
  #turn = 0;
  #countTimer = 0;
  #catching = false;
  #again = false;
  #listeners = new AbortController();

  constructor({ api, connection }) {
    super();
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
    listen("resync", () => this.catchUp());
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
      const page = await this.#api.get("/notifications", { ...FILTERS[filter].query, limit: PAGE });
      if (turn !== this.#turn) return;
      this.#counted(counts);
      this.#seq = counts.inbox_seq;
      this.items = page.results;
      this.#next = page.next;
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
    this.loading = true;
    this.#changed();
    try {
      const page = await this.#api.follow(this.#next);
      if (turn !== this.#turn) return;
      const known = new Set(this.items.map((item) => item.id));
      this.items = [...this.items, ...page.results.filter((item) => !known.has(item.id))];
      this.#next = page.next;
      this.error = null;
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

  async markAllRead() {
    const before = { items: this.items, unread: this.unread };
    const read_at = new Date().toISOString();
    this.items = this.items
      .map((item) => ({ ...item, read_at: item.read_at ?? read_at }))
      .filter(FILTERS[this.filter].fits);
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
    try {
      const { results, inbox_seq, complete } = await this.#api.get("/notifications", { since_seq: this.#seq });
      if (complete) {
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
    const inOrder = this.#seq !== null && frame.seq === this.#seq + 1;
    if (inOrder) {
      this.#merge(frame.data);
      this.#countSoon();
      this.#changed();
    } else if (frame.seq > this.#seq) {
      this.catchUp();
    }
  }

  #noticeHead(head) {
    if (this.#seq !== null && head > this.#seq) this.catchUp();
  }

  #merge(item) {
    if (item.seq > (this.#seq ?? 0)) this.#seq = item.seq;
    const at = this.items.findIndex((known) => known.id === item.id);
    if (at >= 0 && this.items[at].seq > item.seq) return;
    const others = this.items.filter((known) => known.id !== item.id);
    if (!FILTERS[this.filter].fits(item)) {
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

  async #change(id, fields, path) {
    const before = this.items;
    const old = before.find((item) => item.id === id);
    const unreadBefore = this.unread;
    if (old) {
      const changed = { ...old, ...fields };
      this.unread += countsAsUnread(changed) - countsAsUnread(old);
      this.items = FILTERS[this.filter].fits(changed)
        ? before.map((item) => (item.id === id ? changed : item))
        : before.filter((item) => item.id !== id);
      this.#changed();
    }
    try {
      const answer = await this.#api.post(path);
      if (answer?.id && old) this.items = this.items.map((item) => (item.id === id ? { ...item, ...answer } : item));
    } catch (error) {
      this.#putBack(old, unreadBefore);
      throw error;
    }
    if (!old) await this.load(this.filter);
    this.#countSoon();
    this.#changed();
  }

  #putBack(old, unreadBefore) {
    if (old) {
      // Only this row: others may have changed while the server was asked.
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

const countsAsUnread = (item) => Number(!item.read_at && !item.archived_at);

const comesBefore = (one, other) =>
  one.created_at > other.created_at || (one.created_at === other.created_at && one.id > other.id);
