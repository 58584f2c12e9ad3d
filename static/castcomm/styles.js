/**
 * What the components share: colours, type, buttons, focus rings.
 *
 * A page themes them with custom properties: --cc-accent, --cc-on-accent, --cc-surface, --cc-raised, --cc-text,
 * --cc-muted, --cc-line, --cc-tint, --cc-danger, --cc-font, --cc-radius. Light and dark follow the page's
 * `color-scheme`.
 */

import { css } from "../vendor/lit/lit-element.js";

export const tokens = css`
  :host {
    --accent: var(--cc-accent, light-dark(#0a6a70, #62c8cd));
    --on-accent: var(--cc-on-accent, light-dark(#ffffff, #06282a));
    --surface: var(--cc-surface, light-dark(#ffffff, #1b1e20));
    --raised: var(--cc-raised, light-dark(#f4f2ee, #25292b));
    --text: var(--cc-text, light-dark(#1c2124, #e9e7e2));
    --muted: var(--cc-muted, light-dark(#596065, #a4aaad));
    --line: var(--cc-line, light-dark(#dfdbd3, #34393c));
    --edge: var(--cc-edge, light-dark(#83888b, #7b8387));
    --tint: var(--cc-tint, light-dark(#e6f1f1, #17363a));
    --danger: var(--cc-danger, light-dark(#b3261e, #ff9d92));
    --radius: var(--cc-radius, 10px);
    font-family: var(--cc-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
    font-size: 1rem;
    line-height: 1.5;
    color: var(--text);
  }
  :host([hidden]),
  [hidden] {
    display: none !important;
  }
  *,
  ::before,
  ::after {
    box-sizing: border-box;
  }
  h1,
  h2,
  h3,
  p,
  ul,
  ol {
    margin: 0;
    padding: 0;
  }
  h1,
  h2,
  h3 {
    line-height: 1.25;
    font-weight: 650;
    letter-spacing: -0.01em;
  }
  ul,
  ol {
    list-style: none;
  }
  a {
    color: var(--accent);
    text-underline-offset: 0.15em;
  }
  .icon {
    display: block;
    flex: none;
  }
  .hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    ::before,
    ::after {
      transition: none !important;
      animation: none !important;
      scroll-behavior: auto !important;
    }
  }
`;

export const controls = css`
  button,
  input,
  select,
  textarea {
    font: inherit;
    color: inherit;
  }
  button {
    cursor: pointer;
    min-height: 40px;
    padding: 0 0.9rem;
    border: 1px solid var(--edge);
    border-radius: 8px;
    background: var(--surface);
    font-weight: 550;
    transition: background-color 0.12s;
  }
  button:hover {
    background: var(--raised);
  }
  button:disabled,
  button[aria-disabled="true"] {
    cursor: default;
    opacity: 0.55;
  }
  button.primary {
    border-color: transparent;
    background: var(--accent);
    color: var(--on-accent);
  }
  button.primary:hover {
    background: color-mix(in oklab, var(--accent), var(--text) 14%);
  }
  button.quiet {
    border-color: transparent;
    background: transparent;
  }
  button.quiet:hover {
    background: var(--raised);
  }
  button.only-icon {
    display: inline-grid;
    place-items: center;
    width: 40px;
    padding: 0;
  }
  button.link {
    min-height: 0;
    padding: 0;
    border: 0;
    background: none;
    color: var(--accent);
    text-decoration: underline;
    text-underline-offset: 0.15em;
  }
  input,
  select,
  textarea {
    min-height: 40px;
    padding: 0.45rem 0.7rem;
    border: 1px solid var(--edge);
    border-radius: 8px;
    background: var(--surface);
  }
  input:focus-visible,
  select:focus-visible,
  textarea:focus-visible {
    border-color: var(--accent);
    outline-offset: -1px;
  }
  ::placeholder {
    color: var(--muted);
    opacity: 1;
  }
  .error {
    color: var(--danger);
  }
  .notice {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.35rem 1rem;
    padding: 0.6rem 0.9rem;
    border-radius: 8px;
    background: var(--raised);
    font-size: 0.9375rem;
  }
  .notice.error {
    border: 1px solid currentColor;
  }
`;
