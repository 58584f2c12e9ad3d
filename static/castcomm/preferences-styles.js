import { css } from "../vendor/lit/lit-element.js";

export const preferencesStyles = css`
  :host {
    display: block;
  }
  .panel {
    overflow: hidden;
    margin-bottom: 1.5rem;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }
  .pad {
    padding: 1.25rem 1.4rem 1.4rem;
  }
  h2 {
    font-size: 1.1875rem;
  }
  .hint {
    margin-top: 0.2rem;
    color: var(--muted);
    font-size: 0.9375rem;
  }
  table {
    width: 100%;
    border-collapse: collapse;
  }
  th,
  td {
    padding: 0.65rem 0.5rem;
    border-bottom: 1px solid var(--line);
    vertical-align: middle;
  }
  thead th {
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 550;
  }
  tbody:last-child tr:last-child > * {
    border-bottom: 0;
  }
  th[scope="row"],
  th:first-child {
    padding-left: 1.4rem;
    font-weight: 550;
    text-align: left;
    overflow-wrap: anywhere;
  }
  td {
    width: 5.5rem;
    text-align: center;
  }
  th:last-child,
  td:last-child {
    padding-right: 1.2rem;
  }
  .kind th[scope="row"] {
    padding-left: 2.2rem;
    font-weight: 400;
  }
  .group > * {
    background: color-mix(in oklab, var(--raised), var(--surface) 45%);
  }
  .under {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.8rem;
    font-size: 0.8125rem;
    font-weight: 400;
  }
  button.link {
    min-height: 24px;
    font-size: 0.8125rem;
    font-weight: 400;
  }
  .switch {
    position: relative;
    width: 44px;
    min-height: 26px;
    padding: 0;
    border: 1px solid var(--edge);
    border-radius: 13px;
    background: transparent;
    vertical-align: middle;
  }
  .switch::before {
    /* What can be hit is larger than what is seen. */
    content: "";
    position: absolute;
    inset: -9px -4px;
  }
  .switch::after {
    content: "";
    position: absolute;
    top: 3px;
    left: 3px;
    width: 18px;
    height: 18px;
    border-radius: 50%;
    background: var(--edge);
    transition: translate 0.15s;
  }
  .switch[aria-checked="true"] {
    border-color: var(--accent);
    background: var(--accent);
  }
  .switch[aria-checked="true"]::after {
    background: var(--on-accent);
    translate: 18px 0;
  }
  .switch[aria-checked="mixed"] {
    border-color: var(--accent);
  }
  .switch[aria-checked="mixed"]::after {
    width: 18px;
    height: 4px;
    top: 10px;
    border-radius: 2px;
    background: var(--accent);
    translate: 9px 0;
  }
  .switch[aria-disabled="true"] {
    opacity: 0.6;
  }
  .why {
    display: block;
    margin-top: 0.3rem;
    color: var(--muted);
    font-size: 0.6875rem;
    line-height: 1.2;
  }
  .why.own {
    color: var(--accent);
    font-weight: 600;
  }
  .fields {
    display: grid;
    gap: 1.1rem;
    margin-top: 1.1rem;
  }
  .turn-on {
    display: flex;
    align-items: center;
    gap: 0.7rem;
    min-height: 32px;
  }
  .turn-on input,
  .days input {
    accent-color: var(--accent);
  }
  .turn-on input {
    width: 20px;
    height: 20px;
    min-height: 0;
    margin: 0;
  }
  .times {
    display: flex;
    flex-wrap: wrap;
    gap: 1rem;
  }
  .field {
    display: grid;
    gap: 0.3rem;
    min-width: 0;
  }
  .field > label,
  legend {
    padding: 0;
    font-weight: 550;
  }
  .zone {
    width: 100%;
    max-width: 20rem;
  }
  fieldset {
    min-width: 0;
    margin: 0;
    padding: 0;
    border: 0;
  }
  .days {
    display: flex;
    flex-wrap: wrap;
    gap: 0.4rem;
    margin-top: 0.3rem;
  }
  .days label {
    display: grid;
    place-items: center;
    min-width: 48px;
    min-height: 40px;
    padding: 0 0.6rem;
    border: 1px solid var(--edge);
    border-radius: 8px;
    cursor: pointer;
  }
  .days input {
    position: absolute;
    width: 1px;
    height: 1px;
    min-height: 0;
    opacity: 0;
  }
  .days label:has(:checked) {
    border-color: transparent;
    background: var(--accent);
    color: var(--on-accent);
  }
  .days label:has(:focus-visible) {
    outline: 2px solid var(--accent);
    outline-offset: 2px;
  }
  .channels {
    display: grid;
    gap: 0.6rem;
  }
  .channel {
    display: grid;
    grid-template-columns: 5rem minmax(9rem, 13rem) 1fr;
    gap: 0.5rem 0.8rem;
    align-items: start;
  }
  .channel > label {
    padding-top: 0.45rem;
  }
  .channel .field {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
  }
  .channels legend {
    margin-bottom: 0.5rem;
  }
  .channel .field > label {
    font-weight: 400;
  }
  .channel .field .error {
    flex-basis: 100%;
  }
  .asks {
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 400;
  }
  .error {
    font-size: 0.9375rem;
  }
  [aria-invalid="true"] {
    border-color: var(--danger);
  }
  .save {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.8rem;
  }
  .saved {
    position: sticky;
    z-index: 5;
    bottom: calc(var(--nav-height, 0px) + 1rem);
    display: flex;
    justify-content: center;
    pointer-events: none;
  }
  .saved > * {
    padding: 0.45rem 1rem;
    border-radius: 20px;
    background: var(--text);
    color: var(--surface);
    font-size: 0.9375rem;
    pointer-events: auto;
  }
  .saved button {
    min-height: 28px;
    margin-left: 0.8rem;
    padding: 0 0.6rem;
    border-color: currentColor;
    background: transparent;
    color: inherit;
  }
  .saved button:focus-visible {
    outline-color: currentColor;
  }
  .saved .error {
    background: var(--danger);
    color: var(--surface);
  }
  .empty {
    padding: 3rem 1rem;
    color: var(--muted);
    text-align: center;
  }
  @media (max-width: 40rem) {
    .pad {
      padding: 1.1rem 1rem 1.2rem;
    }
    th,
    td {
      padding: 0.6rem 0.15rem;
    }
    td {
      width: 3.5rem;
    }
    thead th {
      font-size: 0.75rem;
    }
    th[scope="row"],
    th:first-child {
      padding-left: 1rem;
      font-size: 0.9375rem;
    }
    .kind th[scope="row"] {
      padding-left: 1.4rem;
    }
    .channel {
      grid-template-columns: 4.5rem 1fr;
    }
    .channel .times {
      grid-column: 2;
      gap: 0.5rem;
    }
    .channel .field {
      flex: 1 1 100%;
    }
    .channel .field > label {
      min-width: 3rem;
    }
    .channel .field input {
      flex: 1;
    }
    .days {
      gap: 0.25rem;
    }
    .days label {
      flex: 1;
      min-width: 0;
      padding: 0;
      font-size: 0.875rem;
    }
    th:last-child,
    td:last-child {
      width: 3.9rem;
      padding-right: 0.55rem;
    }
  }
`;
