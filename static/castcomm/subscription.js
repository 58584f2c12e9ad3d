/** One followed topic, whose numbered frames arrive in order, once, with no gap. */

const RETRY_MS = 3_000;

export class Subscription {
  #connection;
  #onFrame;
  #onReset;
  #whenClosed;
  #catching = false;
  #again = false;
  #held = [];
  #closed = false;

  /**
   * @param {import("./socket.js").Connection} connection
   * @param {string} topic
   * @param {object} options
   * @param {?number} options.sinceSeq the last number the page has; null when it has no past
   * @param {function(object): void} options.onFrame called with each new frame
   * @param {function(number): void} options.onReset called with the head when too much was missed to replay: fetch
   *   everything again
   * @param {function(): void} whenClosed
   */
  constructor(connection, topic, { sinceSeq = null, onFrame, onReset }, whenClosed) {
    this.#connection = connection;
    this.topic = topic;
    this.seq = sinceSeq;
    this.#onFrame = onFrame;
    this.#onReset = onReset;
    this.#whenClosed = whenClosed;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#whenClosed();
  }

  /** A frame from the server. Frames without a number are ephemeral and passed on as they come. */
  receive(frame) {
    if (this.#closed) return;
    if (frame.seq === undefined || frame.seq === null) this.#onFrame(frame);
    else if (this.#catching) this.#held.push(frame);
    else this.#inOrder(frame);
  }

  /** The server says that the last number of this topic is `head`. */
  noticeHead(head) {
    if (!this.#catching && this.seq !== null && head > this.seq) this.catchUp();
  }

  /** (Re)subscribe and take in whatever came after the last number. */
  async catchUp() {
    if (this.#closed) return;
    if (this.#catching) {
      this.#again = true;
      return;
    }
    this.#catching = true;
    const data = { topic: this.topic };
    if (this.seq !== null) data.since_seq = this.seq;
    try {
      this.#replayed(await this.#connection.request("subscribe", data));
    } catch (error) {
      this.#catching = false;
      // A lost connection subscribes again by itself.
      if (error.temporary && this.#connection.state === "online") {
        setTimeout(() => this.catchUp(), error.retryAfterMs || RETRY_MS);
      }
    }
  }

  #replayed({ events = [], head = 0, recovered = true }) {
    this.#catching = false;
    if (this.#closed) return;
    if (!recovered) {
      this.seq = head;
      this.#held = [];
      this.#onReset(head);
    } else {
      if (this.seq === null) this.seq = head;
      for (const frame of events) this.#take(frame);
    }
    const held = this.#held.sort((one, other) => one.seq - other.seq);
    this.#held = [];
    // What the replay did not fill does not exist: asking again would not end.
    for (const frame of held) this.#take(frame);
    if (this.#again) {
      this.#again = false;
      this.catchUp();
    }
  }

  #inOrder(frame) {
    if (this.seq !== null && frame.seq > this.seq + 1) {
      this.#held.push(frame);
      this.catchUp();
    } else {
      this.#take(frame);
    }
  }

  #take(frame) {
    // Read marks come along in a replay and have no number.
    const numbered = frame.seq !== undefined && frame.seq !== null;
    if (numbered && this.seq !== null && frame.seq <= this.seq) return;
    if (numbered) this.seq = frame.seq;
    this.#onFrame(frame);
  }
}
