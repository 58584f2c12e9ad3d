/** The choice of how long a notification is put aside. */

import { html } from "../vendor/lit/lit-element.js";

const PRESETS = {
  later_today: "Later today",
  tomorrow: "Tomorrow, 9:00",
  weekend: "Saturday, 9:00",
  next_week: "Next Monday, 9:00",
};
const LEAST_MS = 60_000;

/**
 * @param {object} options
 * @param {string} options.about what is put aside, for screen readers
 * @param {function(Event, {preset?: string, until?: string}): void} options.onChoose
 * @param {function(Event): void} options.onCancel
 */
export function snoozeForm({ about, onChoose, onCancel }) {
  const onKey = (event) => {
    if (event.key !== "Escape") return;
    // A panel around it stays open.
    event.preventDefault();
    onCancel(event);
  };
  const onSubmit = (event) => {
    event.preventDefault();
    const until = new Date(event.currentTarget.elements.until.value);
    onChoose(event, { until: until.toISOString() });
  };
  return html`
    <form class="snooze" aria-label="Snooze: ${about}" @keydown=${onKey} @submit=${onSubmit}>
      ${Object.entries(PRESETS).map(
        ([preset, label]) =>
          html`<button type="button" @click=${(event) => onChoose(event, { preset })}>${label}</button>`,
      )}
      <label class="until">
        <span>Until</span>
        <input type="datetime-local" name="until" required min=${localMinute(Date.now() + LEAST_MS)} />
      </label>
      <button type="submit">Snooze</button>
      <button type="button" class="quiet" @click=${onCancel}>Cancel</button>
    </form>
  `;
}

/** As a datetime-local field takes it: the browser's own time, without a zone. */
function localMinute(moment) {
  const at = new Date(moment);
  return new Date(moment - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
