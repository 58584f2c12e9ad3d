/**
 * The one WebSocket of a page, shared by all components: authentication, heartbeat, reconnection,
 * requests with acknowledgements, and subscriptions that miss nothing.
 *
 * What must not be lost carries a sequence number. A gap, a reconnection or the server's `resync` makes a
 * subscription ask for what came after the last number it has.
 */

import { Subscription } from "./subscription.js";

const PROTOCOL = 1;
const REQUEST_TIMEOUT_MS = 10_000;
const OPEN_TIMEOUT_MS = 10_000;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
const IDLE_MS = 2_000; // how long the socket outlives its last user, who may be moving within the page

const CLOSED = { RESTART: 1012, NOT_AUTHENTICATED: 4401, REVOKED: 4403, TOO_SLOW: 4408, RATE_LIMITED: 4429 };

/** A refused or unanswered frame. `temporary`: the same frame may succeed later. */
export class SocketError extends Error {
  constructor({ code, message, temporary = false, retryAfterMs = 0, attr = null }) {
    super(message);
    this.name = "SocketError";
    this.code = code;
    this.temporary = temporary;
    this.retryAfterMs = retryAfterMs;
    this.attr = attr;
  }
}

const connections = new Map();

/**
 * The connection that everything on this page shares for one server and one person.
 * @param {object} options
 * @param {string} [options.baseUrl] empty means this page's own origin
 * @param {string} [options.organization]
 * @param {?function({stale: boolean}): Promise<object>} [options.getCredentials] gives `{token}` or `{ticket}`
 *   for the first frame; without it the session cookie counts.
 * @param {string} [options.key] tells people apart who use one server from one page
 */
export function sharedConnection({ baseUrl = "", organization = "", getCredentials = null, key = "" } = {}) {
  const name = `${baseUrl}|${organization}|${key}`;
  let connection = connections.get(name);
  if (!connection) {
    connection = new Connection({ baseUrl, organization, getCredentials });
    connections.set(name, connection);
  }
  return connection;
}

/**
 * Events: `state` (detail is the state), `ready` (detail is the data of auth:success), `heads` (detail is what
 * a heartbeat said changed), `resync`, and `push:<event>` (detail is the frame) for every pushed frame.
 * States: `idle`, `connecting`, `online`, `waiting` (to try again), `refused` (signed out).
 */
export class Connection extends EventTarget {
  state = "idle";
  greeting = null;

  #options;
  #socket = null;
  #users = 0;
  #failures = 0;
  #refusals = 0;
  #nextId = 0;
  #pending = new Map();
  #subscriptions = new Map();
  #timers = { retry: 0, beat: 0, open: 0, idle: 0 };

  constructor(options) {
    super();
    this.#options = options;
    window.addEventListener("online", () => this.#retryNow());
    window.addEventListener("offline", () => this.#dropped());
    document.addEventListener("visibilitychange", () => this.#woken());
  }

  /** Keep the socket open until `release` was called as often. */
  retain() {
    this.#users += 1;
    clearTimeout(this.#timers.idle);
    if (!this.#socket && this.state !== "waiting" && this.state !== "refused") this.#open();
  }

  release() {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#timers.idle = setTimeout(() => {
      clearTimeout(this.#timers.retry);
      this.#shut("idle");
    }, IDLE_MS);
  }

  /**
   * Send a frame and wait for its answer. Rejects with SocketError: as the server refused it, or with the
   * codes `offline`, `disconnected`, `timeout`, where nobody knows whether it was taken.
   */
  request(event, data = {}, { timeoutMs = REQUEST_TIMEOUT_MS } = {}) {
    if (this.state !== "online") return Promise.reject(lost("offline", "There is no connection right now."));
    return this.#ask(event, data, timeoutMs);
  }

  /** Send a frame whose loss does not matter. */
  tell(event, data = {}) {
    if (this.state === "online") this.#send(event, data);
  }

  /**
   * Follow a topic; see Subscription. Several followers of one topic share the numbers.
   */
  subscribe(topic, options) {
    this.#subscriptions.get(topic)?.close();
    const subscription = new Subscription(this, topic, options, () => {
      if (this.#subscriptions.get(topic) === subscription) {
        this.#subscriptions.delete(topic);
        this.tell("unsubscribe", { topic });
      }
    });
    this.#subscriptions.set(topic, subscription);
    if (this.state === "online") subscription.catchUp();
    return subscription;
  }

  #open() {
    clearTimeout(this.#timers.retry);
    this.#setState("connecting");
    let socket;
    try {
      socket = new WebSocket(this.#address());
    } catch {
      // An address that is not one, or a policy that forbids it: trying again costs little.
      this.#retryLater(MAX_DELAY_MS);
      return;
    }
    this.#socket = socket;
    this.#timers.open = setTimeout(() => this.#dropped(), OPEN_TIMEOUT_MS);
    socket.onopen = () => this.#introduce(socket);
    socket.onmessage = (message) => this.#received(socket, message.data);
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#closed(event.code);
    };
  }

  #address() {
    const url = new URL("/ws/", this.#options.baseUrl || window.location.origin);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.#options.organization) url.searchParams.set("organization", this.#options.organization);
    return url;
  }

  async #introduce(socket) {
    if (!this.#options.getCredentials) return;
    try {
      const credentials = await this.#options.getCredentials({ stale: this.#refusals > 0 });
      if (socket === this.#socket) this.#send("auth", credentials);
    } catch {
      if (socket === this.#socket) this.#dropped();
    }
  }

  #received(socket, text) {
    if (socket !== this.#socket) return;
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    this.#heard();
    if (frame.event === "auth:success") this.#welcomed(frame.data);
    else if (frame.event === "pong") this.#beat(frame);
    if (frame.ack !== undefined) this.#answered(frame);
    else this.#pushed(frame);
  }

  #welcomed(greeting) {
    clearTimeout(this.#timers.open);
    this.#failures = 0;
    this.#refusals = 0;
    this.greeting = greeting;
    this.#setState("online");
    this.#heard();
    for (const subscription of this.#subscriptions.values()) subscription.catchUp();
    this.dispatchEvent(new CustomEvent("ready", { detail: greeting }));
  }

  #beat(frame) {
    const heads = frame.data ?? {};
    for (const [thread, head] of Object.entries(heads.thread_heads ?? {})) {
      this.#subscriptions.get(`thread:${thread}`)?.noticeHead(head);
    }
    this.dispatchEvent(new CustomEvent("heads", { detail: heads }));
  }

  #answered(frame) {
    const waiting = this.#pending.get(frame.ack);
    if (!waiting) return;
    this.#pending.delete(frame.ack);
    clearTimeout(waiting.timer);
    if (frame.event === "error") waiting.reject(refusal(frame.data ?? {}));
    else waiting.resolve(frame.data ?? {});
  }

  #pushed(frame) {
    if (frame.event === "resync") {
      this.#resync(frame.data?.within_ms ?? 0);
      return;
    }
    const topic = frame.topic ?? (frame.thread ? `thread:${frame.thread}` : null);
    this.#subscriptions.get(topic)?.receive(frame);
    this.dispatchEvent(new CustomEvent(`push:${frame.event}`, { detail: frame }));
  }

  #resync(withinMs) {
    // Everybody was told at once; coming back at once would be a stampede.
    setTimeout(() => {
      if (this.state !== "online") return;
      for (const subscription of this.#subscriptions.values()) subscription.catchUp();
      this.dispatchEvent(new CustomEvent("resync"));
    }, Math.random() * withinMs);
  }

  /** Any frame is a sign of life; silence is answered with a ping, and silence on that with a new socket. */
  #heard() {
    clearTimeout(this.#timers.beat);
    if (!this.greeting) return;
    this.#timers.beat = setTimeout(() => this.#ping(), this.greeting.heartbeat_ms ?? 30_000);
  }

  #ping() {
    if (this.state !== "online") return;
    this.#ask("ping", {}, REQUEST_TIMEOUT_MS).catch((error) => {
      if (error.code === "timeout") this.#dropped();
    });
  }

  #ask(event, data, timeoutMs) {
    return new Promise((resolve, reject) => {
      const id = this.#send(event, data);
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(lost("timeout", "The server did not answer in time."));
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
    });
  }

  #send(event, data) {
    this.#nextId += 1;
    const id = `c${this.#nextId}`;
    this.#socket.send(JSON.stringify({ v: PROTOCOL, id, event, data }));
    return id;
  }

  #closed(code) {
    if (code === CLOSED.NOT_AUTHENTICATED || code === CLOSED.REVOKED) {
      this.#refusals += 1;
      // A token may have run out: one more try with a fresh one. A session that ended stays ended.
      if (!this.#options.getCredentials || this.#refusals > 1) {
        this.#shut("refused");
        return;
      }
    }
    this.#shut("waiting");
    this.#retryLater(delayAfter(code, this.#failures));
    this.#failures += 1;
  }

  /** The socket is no good any more, whatever it says. */
  #dropped() {
    if (this.#socket) this.#closed(0);
  }

  #shut(state) {
    const socket = this.#socket;
    this.#socket = null;
    this.greeting = null;
    clearTimeout(this.#timers.beat);
    clearTimeout(this.#timers.open);
    socket?.close();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#setState(state);
    for (const waiting of pending) {
      clearTimeout(waiting.timer);
      waiting.reject(lost("disconnected", "The connection was lost."));
    }
  }

  #retryLater(delayMs) {
    this.#setState("waiting");
    clearTimeout(this.#timers.retry);
    this.#timers.retry = setTimeout(() => this.#open(), delayMs);
  }

  #retryNow() {
    if (this.state === "waiting" && this.#users > 0) this.#open();
  }

  #woken() {
    if (document.visibilityState !== "visible") return;
    if (this.state === "online") this.#ping();
    else this.#retryNow();
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

/** Milliseconds until the next attempt: growing, and never the same for everybody. */
function delayAfter(code, failures) {
  if (code === CLOSED.RESTART && failures === 0) return 200 + Math.random() * 2_800;
  if (code === CLOSED.TOO_SLOW && failures === 0) return Math.random() * 500;
  const base = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
  const delay = base * (0.5 + Math.random() / 2);
  return code === CLOSED.RATE_LIMITED ? Math.max(delay, 5_000) : delay;
}

function refusal(data) {
  return new SocketError({
    code: data.code ?? "error",
    message: data.message ?? "The server refused this.",
    temporary: Boolean(data.temporary),
    retryAfterMs: data.retry_after_ms ?? 0,
    attr: data.attr ?? null,
  });
}

function lost(code, message) {
  return new SocketError({ code, message, temporary: true });
}
