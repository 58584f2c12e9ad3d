/** The line drawings of the components. They inherit size and colour, and say nothing to screen readers. */

import { svg, html } from "../vendor/lit/lit-element.js";

const icon = (shape) => html`<svg
  class="icon"
  viewBox="0 0 24 24"
  width="20"
  height="20"
  fill="none"
  stroke="currentColor"
  stroke-width="1.75"
  stroke-linecap="round"
  stroke-linejoin="round"
  aria-hidden="true"
  focusable="false"
>
  ${shape}
</svg>`;

export const bell = icon(svg`<path d="M6 9a6 6 0 0 1 12 0c0 6 2.5 7 2.5 7h-17S6 15 6 9Z" /><path d="M10 20a2.2 2.2 0 0 0 4 0" />`);
export const check = icon(svg`<path d="m5 12.5 4.5 4.5L19 7.5" />`);
export const checkAll = icon(svg`<path d="m2.5 12.5 4 4 8-9M11 16l.8.8 9-9.3" />`);
export const unread = icon(svg`<circle cx="12" cy="12" r="4" />`);
export const archive = icon(svg`<path d="M4 8v11h16V8M3 4h18v4H3zM10 12h4" />`);
export const restore = icon(svg`<path d="M4 8v11h16V8M3 4h18v4H3zM12 17v-5m-2 2 2-2 2 2" />`);
export const back = icon(svg`<path d="M15 5l-7 7 7 7" />`);
export const plus = icon(svg`<path d="M12 5v14M5 12h14" />`);
export const send = icon(svg`<path d="M4 12 20 4l-5 16-3.5-6.5L4 12Zm7.5 1.5L20 4" />`);
export const clock = icon(svg`<circle cx="12" cy="12" r="8.5" /><path d="M12 7.5V12l3 2" />`);
export const alert = icon(svg`<circle cx="12" cy="12" r="9" /><path d="M12 7.5v5.5M12 16.4v.1" />`);
export const close = icon(svg`<path d="m6 6 12 12M18 6 6 18" />`);
export const down = icon(svg`<path d="M12 5v14m-6-6 6 6 6-6" />`);
