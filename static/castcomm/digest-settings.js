/**
 * `<castcomm-digest-settings>`: how often mail reaches a person, for everything and for each category; and what waits.
 *
 * Attributes: those of session.js. It shows nothing where nothing can go into a digest. A change is saved at once and
 * taken back when the server refuses it.
 */

import { css, html, nothing } from "../vendor/lit/lit-element.js";
import { live } from "../vendor/lit/directives/live.js";
import { PreferencePart } from "./preference-part.js";

const FREQUENCIES = { instant: "At once", hourly: "Every hour", daily: "Every day", weekly: "Every week" };
const DAYS = 7;

const digestStyles = css`
  .row {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    align-items: center;
    gap: 0.6rem 1.2rem;
    padding: 0.9rem 1.4rem;
    border-top: 1px solid var(--line);
  }
  .row h3 {
    font-size: 1rem;
    font-weight: 550;
    overflow-wrap: anywhere;
  }
  .row.all {
    background: color-mix(in oklab, var(--raised), var(--surface) 45%);
  }
  .row p {
    color: var(--muted);
    font-size: 0.875rem;
  }
  .choice {
    display: flex;
    flex-wrap: wrap;
    justify-content: flex-end;
    gap: 0.5rem;
  }
  .waiting {
    margin-top: 0.9rem;
  }
  .waiting .notice {
    justify-content: space-between;
    margin-top: 0.5rem;
  }
  @media (max-width: 40rem) {
    .row {
      grid-template-columns: minmax(0, 1fr);
      padding: 0.9rem 1rem;
    }
    .choice {
      justify-content: flex-start;
    }
    .choice select:first-child {
      flex: 1 1 100%;
      min-width: 0;
      max-width: 100%;
    }
  }
`;

class CastCommDigestSettings extends PreferencePart {
  static properties = { settings: { state: true }, windows: { state: true } };
  static styles = [...PreferencePart.styles, digestStyles];

  constructor() {
    super();
    this.settings = null;
    this.windows = [];
  }

  async fetch() {
    this.settings = await this.api.get("/digests/settings");
    await this.#loadWindows();
  }

  /** What waits is for who is signed in: the link in a mail opens the settings alone. */
  async #loadWindows() {
    if (this.preferenceToken) return;
    const { results } = await this.api.get("/digests");
    this.windows = results.filter((window) => window.items.length);
  }

  get #categories() {
    return this.settings.categories.filter((category) => category.is_digestible || category.setting);
  }

  render() {
    if (this.error && !this.settings) return this.renderError();
    if (!this.settings || !this.#categories.length) return nothing;
    return html`
      <section class="panel" aria-labelledby="title">
        <div class="pad">
          <h2 id="title">E-mail digests</h2>
          <p class="hint">
            Get several messages in one mail. What is urgent still comes at once. Times are those of
            ${this.settings.time_zone.replaceAll("_", " ")}.
          </p>
          ${this.#waiting()}
        </div>
        ${this.#row({ key: null, name: "Everything", description: "", ...this.settings.all })}
        ${this.#categories.map((category) => this.#row(category))}
      </section>
      ${this.renderSaved()}
    `;
  }

  #waiting() {
    if (!this.windows.length) return nothing;
    return html`<ul class="waiting">
      ${this.windows.map(
        (window) => html`<li class="notice">
          <span>${waits(window)}</span>
          <button aria-label="Send now: ${waits(window)}" @click=${() => this.#flush(window)}>Send now</button>
        </li>`,
      )}
    </ul>`;
  }

  #row({ key, name, description, setting, effective, next_at }) {
    const frequency = setting?.frequency ?? "";
    const change = (changed) =>
      this.#change({ category: key, frequency, at: effective.at, weekday: effective.weekday, ...changed });
    return html`<div class="row ${key === null ? "all" : ""}">
      <div>
        <h3>${name}</h3>
        ${description ? html`<p>${description}</p>` : nothing}
        <p>${this.#outcome(setting, effective, next_at)}</p>
      </div>
      <div class="choice">
        <select
          aria-label="${name}: how often"
          .value=${live(frequency)}
          @change=${({ target }) => change({ frequency: target.value || null })}
        >
          <option value="" ?selected=${!frequency}>${setting ? "Default" : `Default: ${sentence(effective)}`}</option>
          ${Object.entries(FREQUENCIES).map(
            ([value, words]) => html`<option value=${value} ?selected=${value === frequency}>${words}</option>`,
          )}
        </select>
        ${frequency === "weekly"
          ? html`<select
              aria-label="${name}: on which day"
              .value=${live(String(setting.weekday))}
              @change=${({ target }) => change({ weekday: Number(target.value) })}
            >
              ${dayNames().map(
                (day, number) => html`<option value=${number} ?selected=${number === setting.weekday}>${day}</option>`,
              )}
            </select>`
          : nothing}
        ${frequency === "daily" || frequency === "weekly"
          ? html`<input
              type="time"
              required
              aria-label="${name}: at what time"
              .value=${live(setting.at)}
              @change=${({ target }) => (target.value ? change({ at: target.value }) : this.requestUpdate())}
            />`
          : nothing}
      </div>
    </div>`;
  }

  #outcome(setting, effective, next_at) {
    const who = { organization: "Set up for everybody. ", nobody: "", person: setting ? "" : "As for everything. " };
    if (effective.frequency === "instant") return `${who[effective.set_by]}Each mail comes at once.`;
    return `${who[effective.set_by]}Next: ${moment(next_at, this.settings.time_zone)}`;
  }

  /** The answer is what is shown from then on. */
  #change(setting) {
    const act = async () => {
      this.settings = await this.api.patch("/digests/settings", { set: [setting] });
      this.say("Saved");
    };
    this.save(act, () => this.requestUpdate());
  }

  async #flush(window) {
    try {
      const { status } = await this.api.post(`/digests/${window.id}/flush`);
      this.say(status === "sent" ? "The digest is on its way." : "Nothing was left to send.");
    } catch (error) {
      this.say(error.message, { failed: true });
    }
    await this.#loadWindows().catch(() => {}); // what was said counts more
  }
}

function sentence({ frequency, at, weekday }) {
  if (frequency === "daily") return `every day at ${at}`;
  if (frequency === "weekly") return `every ${dayNames()[weekday]} at ${at}`;
  return FREQUENCIES[frequency].toLowerCase();
}

/** "3 messages wait for Tue, 24 Nov, 09:00". */
function waits({ items, item_count: all, closes_at, time_zone }) {
  // Beyond a hundred, only the window's own count is known.
  const many = items.length < 100 ? items.length : all;
  return `${many === 1 ? "1 message waits" : `${many} messages wait`} for ${moment(closes_at, time_zone)}`;
}

/** The day and time in the person's zone, which may not be the browser's. */
function moment(iso, timeZone) {
  const form = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  const language = document.documentElement.lang || undefined;
  try {
    return new Intl.DateTimeFormat(language, { ...form, timeZone }).format(new Date(iso));
  } catch {
    return new Intl.DateTimeFormat(language, form).format(new Date(iso)); // a zone that this browser does not know
  }
}

/** "Monday" to "Sunday", Monday first as in the API. */
function dayNames() {
  const words = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { weekday: "long", timeZone: "UTC" });
  // 1 January 2024 was a Monday.
  return Array.from({ length: DAYS }, (_, day) => words.format(Date.UTC(2024, 0, 1 + day)));
}

if (!customElements.get("castcomm-digest-settings")) {
  customElements.define("castcomm-digest-settings", CastCommDigestSettings);
}
