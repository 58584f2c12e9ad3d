/**
 * `<castcomm-topics>`: the topics that a person may subscribe to, and those they are in. Nothing, when there are none.
 *
 * Attributes: those of session.js. A change is saved at once and taken back when the server refuses it.
 */

import { css, html, nothing } from "../vendor/lit/lit-element.js";
import { live } from "../vendor/lit/directives/live.js";
import { PreferencePart } from "./preference-part.js";

const styles = css`
  li {
    display: grid;
    grid-template-columns: 1fr auto;
    gap: 0.2rem 1.2rem;
    align-items: center;
    padding: 0.8rem 0;
    border-top: 1px solid var(--line);
  }
  ul {
    margin-top: 0.9rem;
  }
  li:last-child {
    padding-bottom: 0;
  }
  .name {
    font-weight: 550;
    overflow-wrap: anywhere;
  }
  .about {
    grid-column: 1;
    color: var(--muted);
    font-size: 0.9375rem;
    overflow-wrap: anywhere;
  }
  .sure {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    align-items: center;
    grid-column: 1 / -1;
  }
`;

export class CastCommTopics extends PreferencePart {
  static styles = [...PreferencePart.styles, styles];

  static properties = {
    topics: { state: true },
    leaving: { state: true },
  };

  constructor() {
    super();
    this.topics = null;
    this.leaving = "";
  }

  async fetch() {
    const { results } = await this.api.get("/topics");
    this.topics = results.filter((topic) => topic.is_open || topic.subscribed);
  }

  render() {
    if (this.error && !this.topics) return this.renderError();
    if (!this.topics?.length && !this.saved) return nothing;
    return html`
      <section class="panel pad" aria-labelledby="topics">
        <h2 id="topics" tabindex="-1">Topics</h2>
        <p class="hint">News that is sent to everybody who subscribes. Where it reaches you is chosen with the other preferences.</p>
        <ul>
          ${this.topics.map((topic) => this.#topic(topic))}
        </ul>
      </section>
      ${this.renderSaved()}
    `;
  }

  #topic(topic) {
    return html`<li>
      <span class="name" id="name-${topic.key}">${topic.name}</span>
      <button
        type="button"
        class="switch"
        role="switch"
        id="switch-${topic.key}"
        aria-checked=${live(String(topic.subscribed))}
        aria-labelledby="name-${topic.key}"
        aria-describedby="about-${topic.key} closed-${topic.key}"
        @click=${() => this.#press(topic)}
      ></button>
      ${topic.description ? html`<span class="about" id="about-${topic.key}">${topic.description}</span>` : nothing}
      ${topic.is_open ? nothing : html`<span class="about" id="closed-${topic.key}">The organization put you in it.</span>`}
      ${this.leaving === topic.key ? this.#sure(topic) : nothing}
    </li>`;
  }

  /** Who leaves a closed topic cannot come back by themselves. */
  #sure(topic) {
    return html`<div class="sure" role="group" aria-label="Leave ${topic.name}?" @keydown=${this.#escape}>
      <span>Leave it? Only the organization can put you in it again.</span>
      <button class="primary" @click=${() => this.#set(topic, false)}>Leave</button>
      <button @click=${() => this.#keep(topic)}>Stay</button>
    </div>`;
  }

  async #press(topic) {
    if (topic.is_open || !topic.subscribed) {
      this.#set(topic, !topic.subscribed);
      return;
    }
    this.leaving = topic.key;
    await this.updateComplete;
    this.renderRoot.querySelector(".sure button")?.focus();
  }

  #escape(event) {
    if (event.key === "Escape") this.#keep({ key: this.leaving });
  }

  async #keep({ key }) {
    this.leaving = "";
    await this.updateComplete;
    this.renderRoot.querySelector(`[id="switch-${key}"]`)?.focus();
  }

  /** Show the change, save it, and take it back when the server refuses it. */
  #set(topic, subscribed) {
    this.leaving = "";
    this.#show(topic.key, subscribed);
    const act = async () => {
      await this.api.request(subscribed ? "PUT" : "DELETE", `/topics/${topic.key}/subscription`);
      this.say(subscribed ? `You are subscribed to ${topic.name}.` : `You left ${topic.name}.`);
      if (!topic.is_open && !subscribed) await this.#drop(topic);
    };
    this.save(act, () => this.#show(topic.key, !subscribed));
  }

  #show(key, subscribed) {
    this.topics = this.topics.map((one) => (one.key === key ? { ...one, subscribed } : one));
  }

  /** Take a topic away that was left for good, and put the focus where it is not lost with it. */
  async #drop(topic) {
    this.topics = this.topics.filter(({ key }) => key !== topic.key);
    await this.updateComplete;
    this.renderRoot.querySelector("#topics")?.focus();
  }
}

if (!customElements.get("castcomm-topics")) customElements.define("castcomm-topics", CastCommTopics);
