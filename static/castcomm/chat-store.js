/** The list of a person's conversations as this page knows it. */

const PAGE = 50;
const REFRESH_MS = 150;

/**
 * Events: `change` whenever anything that is shown changed. `threads` is ordered by the newest message.
 */
export class ChatStore extends EventTarget {
  threads = [];
  loading = true;
  error = null;

  #api;
  #connection;
  #me;
  #next = null;
  #stale = new Set();
  #heard = new Set(); // conversations that changed while the list was on its way
  #heads = {};
  #timer = 0;
  #listeners = new AbortController();

  constructor({ api, connection, me }) {
    super();
    this.#api = api;
    this.#connection = connection;
    this.#me = me;
  }

  get hasMore() {
    return this.#next !== null;
  }

  start() {
    const { signal } = this.#listeners;
    const listen = (event, handle) => this.#connection.addEventListener(event, handle, { signal });
    listen("push:message:received", ({ detail }) => this.#received(detail));
    listen("push:thread:updated", ({ detail }) => this.#received(detail));
    listen("ready", ({ detail }) => this.#noticeHeads(detail.thread_heads));
    listen("heads", ({ detail }) => this.#noticeHeads(detail.thread_heads));
    listen("resync", () => this.load());
    this.#connection.retain();
    return this.load();
  }

  stop() {
    this.#listeners.abort();
    clearTimeout(this.#timer);
    this.#connection.release();
  }

  async load() {
    this.loading = true;
    this.error = null;
    this.#changed();
    try {
      const page = await this.#api.get("/threads", { limit: PAGE });
      this.threads = page.results;
      this.#next = page.next;
    } catch (error) {
      this.error = error;
    }
    this.#loaded();
  }

  async more() {
    if (!this.#next || this.loading) return;
    this.loading = true;
    this.#changed();
    try {
      const page = await this.#api.follow(this.#next);
      this.#next = page.next;
      for (const thread of page.results) this.put(thread);
    } catch (error) {
      this.error = error;
    }
    this.#loaded();
  }

  /** The members of the organization whose name or address fits, without the person themself. */
  async findMembers(text) {
    const page = await this.#api.get("/members", { search: text, limit: PAGE });
    return page.results
      .map((member) => member.user ?? member)
      .filter((user) => user.id !== this.#me);
  }

  /** Open the direct conversation with somebody: the one there is, or a new one. Rejects with ApiError. */
  async openDirect(userId) {
    const thread = await this.#api.post("/threads", { kind: "direct", participants: [userId] });
    this.put(thread);
    return thread;
  }

  put(thread) {
    const others = this.threads.filter((known) => known.id !== thread.id);
    this.threads = [...others, thread].sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1));
    this.#changed();
  }

  /** What others see as the name of a conversation: its subject, or who takes part. */
  nameOf(thread) {
    if (thread.subject) return thread.subject;
    const others = thread.participants.filter(({ user }) => user.id !== this.#me);
    return others.map(({ user }) => user.display_name).join(", ") || "Only you";
  }

  /** What was heard while a page of the list was on its way may not be in it. */
  #loaded() {
    this.loading = false;
    const [heard, heads] = [this.#heard, this.#heads];
    this.#heard = new Set();
    this.#heads = {};
    for (const id of heard) this.#refresh(id);
    this.#noticeHeads(heads);
    this.#changed();
  }

  #received({ event, thread: id, seq, data = {} }) {
    if (this.loading) this.#heard.add(id);
    const known = this.threads.find((thread) => thread.id === id);
    if (event === "thread:updated" && data.op === "gone") this.#remove(id);
    else if (known && event === "thread:updated" && data.op === "message") this.#heardMessage(known, data);
    else if (known && event === "thread:updated" && data.op === "read") this.#heardRead(known, data);
    // The doorbell rings for new messages too, but not in rooms; edits change the line in the list.
    else if (event !== "message:received" || data.op !== "created" || known?.kind === "room") this.#refresh(id, seq);
  }

  #heardMessage(thread, { head_seq, msg_seq, last_message, seen_count = thread.seen_count }) {
    if (head_seq < thread.head_seq) return;
    const unread_count = msg_seq - seen_count;
    const archived = thread.archived && thread.muted;
    const updated_at = last_message.created_at;
    this.put({ ...thread, head_seq, msg_seq, last_message, seen_count, unread_count, archived, updated_at });
  }

  #heardRead(thread, { last_read_seq, seen_count, unread_count }) {
    if (seen_count >= thread.seen_count) this.put({ ...thread, last_read_seq, seen_count, unread_count });
  }

  #remove(id) {
    this.threads = this.threads.filter((thread) => thread.id !== id);
    this.#changed();
  }

  #noticeHeads(heads = {}) {
    if (this.loading) {
      Object.assign(this.#heads, heads);
      return;
    }
    for (const [id, head] of Object.entries(heads ?? {})) {
      const known = this.threads.find((thread) => thread.id === id);
      if (known ? known.head_seq < head : !this.hasMore) this.#refresh(id);
    }
  }

  #refresh(id, seq = null) {
    const known = this.threads.find((thread) => thread.id === id);
    if (known && seq !== null && known.head_seq > seq) return;
    this.#stale.add(id);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetchStale(), REFRESH_MS);
  }

  async #fetchStale() {
    const ids = [...this.#stale];
    this.#stale.clear();
    for (const id of ids) {
      try {
        this.put(await this.#api.get(`/threads/${id}`));
      } catch (error) {
        // Gone, or no longer ours; everything else the next heartbeat brings again.
        if (error.status === 404) this.#remove(id);
      }
    }
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}
