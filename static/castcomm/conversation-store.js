/** One open conversation: its messages, what is on its way out, who has read how far, who is typing. */

const PAGE = 40;
const TYPING_RENEW_MS = 5_000;
const TYPING_EXPIRES_MS = 15_000;

/**
 * Events: `change` whenever anything that is shown changed; `message` with a message that has just arrived;
 * `thread` with the thread when it changed.
 *
 * `outbox` holds what the server has not confirmed: {client_id, content, created_at, state, error} with the states
 * `sending`, `waiting` (for the connection) and `failed`. A message keeps its client_id through every attempt and
 * through a reload, so the server writes it once.
 */
export class ConversationStore extends EventTarget {
  thread = null;
  messages = [];
  outbox = [];
  loading = true;
  error = null;
  typing = new Map();

  #api;
  #connection;
  #id;
  #me;
  #older = null;
  #subscription = null;
  #sending = false;
  #typedAt = 0;
  #readUpTo = 0;
  #listeners = new AbortController();

  constructor({ api, connection, id, me }) {
    super();
    this.#api = api;
    this.#connection = connection;
    this.#id = id;
    this.#me = me;
  }

  get hasOlder() {
    return this.#older !== null;
  }

  get me() {
    return this.#me;
  }

  start() {
    const { signal } = this.#listeners;
    const listen = (event, handle) => this.#connection.addEventListener(event, handle, { signal });
    listen("ready", () => this.#flush());
    this.#connection.retain();
    this.outbox = this.#restored();
    return this.load();
  }

  stop() {
    this.#listeners.abort();
    this.stopTyping();
    this.#subscription?.close();
    for (const { timer } of this.typing.values()) clearTimeout(timer);
    this.#connection.release();
  }

  async load() {
    this.loading = true;
    this.error = null;
    this.#changed();
    try {
      // The thread with its counter first: what is said after it comes through the subscription.
      const thread = await this.#api.get(`/threads/${this.#id}`);
      const page = await this.#api.get(`/threads/${this.#id}/messages`, { limit: PAGE });
      if (this.#listeners.signal.aborted) return;
      this.thread = thread;
      this.#older = page.next;
      this.messages = [];
      for (const message of page.results) this.#put(message);
      this.#readUpTo = this.#own()?.last_read_seq ?? 0;
      this.#follow(thread.head_seq);
      this.#flush();
    } catch (error) {
      this.error = error;
    }
    this.loading = false;
    this.#changed();
  }

  async loadOlder() {
    if (!this.#older || this.loading) return;
    this.loading = true;
    this.#changed();
    try {
      const page = await this.#api.follow(this.#older);
      this.#older = page.next;
      for (const message of page.results) this.#put(message);
    } catch (error) {
      this.error = error;
    }
    this.loading = false;
    this.#changed();
  }

  /** Queue a message; it is shown at once and sent as soon as possible. */
  send(content) {
    const client_id = newClientId();
    const created_at = new Date().toISOString();
    this.outbox = [...this.outbox, { client_id, content, created_at, state: "waiting", error: "" }];
    this.stopTyping();
    this.#keep();
    this.#flush();
  }

  /** Try a failed message again, under its old client_id. */
  retry(client_id) {
    this.#mark(client_id, { state: "waiting", error: "" });
    this.#flush();
  }

  discard(client_id) {
    this.outbox = this.outbox.filter((entry) => entry.client_id !== client_id);
    this.#keep();
    this.#changed();
  }

  /** The person has seen everything down to the newest message. */
  async markRead() {
    const newest = this.messages.at(-1)?.seq ?? 0;
    if (newest <= this.#readUpTo || this.#connection.state !== "online") return;
    const before = this.#readUpTo;
    this.#readUpTo = newest;
    try {
      await this.#connection.request("message:read", { thread: this.#id, seq: newest });
      this.#noteRead(this.#me, newest);
    } catch {
      // The mark is a high-water mark: the next one covers this one.
      this.#readUpTo = Math.min(before, this.#readUpTo);
    }
  }

  /** The person is typing; told to the others now and then, not with every key. */
  noteTyping() {
    const now = Date.now();
    if (now - this.#typedAt < TYPING_RENEW_MS) return;
    this.#typedAt = now;
    this.#connection.tell("typing:start", { thread: this.#id });
  }

  stopTyping() {
    if (!this.#typedAt) return;
    this.#typedAt = 0;
    this.#connection.tell("typing:stop", { thread: this.#id });
  }

  /** The names of those who have read the message with this number, other than its sender. */
  readersOf(message) {
    return (this.thread?.participants ?? [])
      .filter(({ user, last_read_seq }) => user.id !== message.sender.id && last_read_seq >= message.seq)
      .map(({ user }) => user.display_name);
  }

  #follow(seq) {
    this.#subscription?.close();
    this.#subscription = this.#connection.subscribe(`thread:${this.#id}`, {
      sinceSeq: seq,
      onFrame: (frame) => this.#received(frame),
      onReset: () => this.load(),
    });
  }

  #received(frame) {
    const data = frame.data ?? {};
    if (frame.event === "message:received") this.#receivedMessage(data);
    else if (frame.event === "message:read") this.#noteRead(data.user?.id ?? data.user, data.seq);
    else if (frame.event === "typing:start") this.#noteTyping(data.user, true);
    else if (frame.event === "typing:stop") this.#noteTyping(data.user, false);
    else if (frame.event === "thread:updated") this.#threadChanged(frame.seq, data);
    this.#changed();
  }

  #receivedMessage({ op, ...message }) {
    const isNew = !this.messages.some((known) => known.id === message.id);
    if (op !== "created" && isNew) return;
    this.#put(message);
    this.#settle(message.client_id, message.sender.id);
    this.#noteTyping(message.sender, false);
    if (op === "created" && isNew) this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  /** Numbered frames are changes of the thread itself; the others are for lists, but may tell of a loss. */
  #threadChanged(seq, { op, head_seq }) {
    if (seq || op === "gone") this.#refreshThread();
    else if (head_seq) this.#subscription?.noticeHead(head_seq);
  }

  async #refreshThread() {
    try {
      this.thread = await this.#api.get(`/threads/${this.#id}`);
      this.dispatchEvent(new CustomEvent("thread", { detail: this.thread }));
    } catch (error) {
      // No longer a participant, most likely.
      this.error = error;
    }
    this.#changed();
  }

  #noteRead(userId, seq) {
    const participant = this.thread?.participants.find(({ user }) => user.id === userId);
    if (participant && seq > participant.last_read_seq) participant.last_read_seq = seq;
    if (userId === this.#me) this.#readUpTo = Math.max(this.#readUpTo, seq);
    this.#changed();
  }

  #noteTyping(user, isTyping) {
    const id = user?.id ?? user;
    if (!id || id === this.#me) return;
    clearTimeout(this.typing.get(id)?.timer);
    this.typing.delete(id);
    if (isTyping) {
      const timer = setTimeout(() => this.#noteTyping(id, false), TYPING_EXPIRES_MS);
      this.typing.set(id, { name: this.#nameOf(id) ?? user.display_name ?? "Somebody", timer });
    }
    this.#changed();
  }

  #nameOf(id) {
    return this.thread?.participants.find(({ user }) => user.id === id)?.user.display_name;
  }

  #own() {
    return this.thread?.participants.find(({ user }) => user.id === this.#me);
  }

  #put(message) {
    const others = this.messages.filter((known) => known.id !== message.id);
    let place = others.length;
    while (place > 0 && others[place - 1].seq > message.seq) place -= 1;
    others.splice(place, 0, message);
    this.messages = others;
  }

  /** Send what waits, one after the other, so that messages arrive in the order they were written. */
  async #flush() {
    if (this.#sending) return;
    this.#sending = true;
    let entry;
    while ((entry = this.outbox.find(({ state }) => state === "waiting")) && this.#connection.state === "online") {
      await this.#attempt(entry);
    }
    this.#sending = false;
    this.#changed();
  }

  async #attempt({ client_id, content }) {
    this.#mark(client_id, { state: "sending" });
    try {
      const data = { thread: this.#id, client_id, content };
      this.#confirmed(client_id, content, await this.#connection.request("message:send", data));
    } catch (error) {
      const lost = error.code === "offline" || error.code === "disconnected";
      // Whoever cannot know whether it arrived asks again: the client_id makes that safe.
      this.#mark(client_id, lost ? { state: "waiting" } : { state: "failed", error: error.message });
    }
  }

  #confirmed(client_id, content, answer) {
    const known = this.messages.some((message) => message.id === answer.id);
    if (!known && answer.id) {
      const sender = this.#own()?.user ?? { id: this.#me, display_name: "" };
      const created_at = new Date().toISOString();
      this.#put({ client_id, content, sender, created_at, edited_at: null, deleted_at: null, ...answer });
    }
    this.#settle(client_id, this.#me);
    this.#changed();
  }

  #settle(client_id, senderId) {
    if (senderId !== this.#me) return;
    this.outbox = this.outbox.filter((entry) => entry.client_id !== client_id);
    this.#keep();
  }

  #mark(client_id, fields) {
    this.outbox = this.outbox.map((entry) => (entry.client_id === client_id ? { ...entry, ...fields } : entry));
    this.#keep();
    this.#changed();
  }

  get #storageKey() {
    return `castcomm.outbox.${this.#me}.${this.#id}`;
  }

  #keep() {
    try {
      if (this.outbox.length) sessionStorage.setItem(this.#storageKey, JSON.stringify(this.outbox));
      else sessionStorage.removeItem(this.#storageKey);
    } catch {
      // Storage is full or forbidden: the outbox then lives as long as the page.
      return;
    }
  }

  #restored() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.#storageKey)) ?? [];
      return kept.map((entry) => (entry.state === "failed" ? entry : { ...entry, state: "waiting" }));
    } catch {
      return [];
    }
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** A UUID; `crypto.randomUUID` exists on secure pages only. */
function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
