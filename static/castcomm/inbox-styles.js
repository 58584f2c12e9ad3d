import { css } from "../vendor/lit/lit-element.js";

export const inboxStyles = css`
  :host {
    display: block;
  }
  .bar {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem 0.75rem;
    margin-bottom: 0.9rem;
  }
  .filters {
    display: flex;
    flex-wrap: wrap;
    gap: 2px;
    padding: 3px;
    border-radius: 10px;
    background: var(--raised);
  }
  .filters button {
    min-height: 34px;
    padding: 0 0.8rem;
    border: 1px solid transparent;
    background: transparent;
    font-size: 0.9375rem;
    color: var(--muted);
  }
  .filters button[aria-pressed="true"] {
    background: var(--surface);
    border-color: var(--line);
    color: var(--text);
  }
  .push-right {
    margin-left: auto;
  }
  .read-all {
    display: flex;
    align-items: center;
    gap: 0.45rem;
    font-size: 0.9375rem;
  }
  @media (max-width: 30rem) {
    .filters button {
      padding: 0 0.55rem;
      font-size: 0.875rem;
    }
    .read-all {
      width: 44px;
      padding: 0;
      justify-content: center;
    }
    .read-all .word {
      position: absolute;
      width: 1px;
      height: 1px;
      overflow: hidden;
      clip-path: inset(50%);
    }
  }
  .list {
    container-type: inline-size;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }
  .item {
    position: relative;
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 0.15rem 0.5rem;
    padding: 0.95rem 0.6rem 0.95rem 2.1rem;
  }
  .item + .item {
    border-top: 1px solid var(--line);
  }
  .item.is-unread::before {
    content: "";
    position: absolute;
    left: 0.95rem;
    top: 1.4rem;
    width: 8px;
    height: 8px;
    border-radius: 50%;
    background: var(--accent);
  }
  .item.is-new {
    animation: arrive 1.6s ease-out;
  }
  @keyframes arrive {
    from {
      background: var(--tint);
    }
  }
  .title {
    overflow-wrap: anywhere;
    font-size: 1rem;
    font-weight: 500;
    line-height: 1.3;
  }
  .is-unread .title {
    font-weight: 650;
  }
  .title a {
    color: inherit;
    text-decoration-color: var(--edge);
    text-decoration-thickness: 1px;
  }
  .title a:hover {
    color: var(--accent);
  }
  .body {
    grid-column: 1;
    overflow-wrap: anywhere;
    white-space: pre-line;
    color: var(--muted);
    font-size: 0.9375rem;
  }
  .meta {
    grid-column: 1;
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.6rem;
    margin-top: 0.2rem;
    font-size: 0.8125rem;
    color: var(--muted);
  }
  .meta .urgent {
    color: var(--danger);
    font-weight: 600;
  }
  .meta .tag {
    padding: 0 0.45rem;
    border: 1px solid var(--line);
    border-radius: 9px;
  }
  .choices,
  .snooze {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem;
    margin-top: 0.6rem;
  }
  .choices {
    grid-column: 1 / -1;
  }
  .choice {
    display: inline-flex;
    align-items: center;
    gap: 0.35rem;
    min-height: 36px;
    padding: 0 0.8rem;
    border: 1px solid var(--edge);
    border-radius: 8px;
    font-size: 0.9375rem;
    font-weight: 550;
    color: var(--text);
    text-decoration: none;
  }
  .choice.primary {
    border-color: transparent;
    background: var(--accent);
    color: var(--on-accent);
  }
  .choice.is-done {
    border-color: var(--line);
    background: var(--raised);
    color: var(--muted);
  }
  .snooze {
    grid-column: 1 / -1;
    padding: 0.75rem;
    border-radius: 8px;
    background: var(--raised);
  }
  .snooze button {
    min-height: 36px;
    font-size: 0.9375rem;
  }
  .snooze .until {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem;
    font-size: 0.9375rem;
  }
  .actions {
    grid-row: 1 / span 3;
    grid-column: 2;
    display: flex;
    align-self: start;
    color: var(--muted);
    margin-top: -0.45rem;
  }
  .actions button:hover {
    color: var(--text);
  }
  /* Narrow lists, on a phone or in the bell's panel, give the whole width to the words. */
  @container (max-width: 28rem) {
    .title,
    .body {
      grid-column: 1 / -1;
    }
    .body {
      grid-row: 2;
    }
    .meta,
    .actions {
      grid-row: 3;
      align-self: center;
      margin: 0;
    }
    .choices {
      grid-row: 4;
    }
    .snooze {
      grid-row: 5;
      display: grid;
      grid-template-columns: repeat(2, minmax(0, 1fr));
      margin-left: -1.1rem;
    }
    .snooze button {
      padding: 0 0.4rem;
    }
    .snooze .until {
      grid-column: 1 / -1;
    }
  }
  .empty {
    padding: 3.5rem 1.5rem;
    text-align: center;
    color: var(--muted);
  }
  .empty strong {
    display: block;
    margin-bottom: 0.25rem;
    color: var(--text);
    font-size: 1.0625rem;
  }
  .more {
    display: block;
    width: 100%;
    margin-top: 0.75rem;
  }
  .notice {
    margin-bottom: 0.75rem;
  }
  .skeleton {
    height: 4.6rem;
    background: linear-gradient(100deg, transparent 35%, var(--raised) 50%, transparent 65%) 0 0 / 300% 100%;
    animation: shimmer 1.4s linear infinite;
  }
  .skeleton + .skeleton {
    border-top: 1px solid var(--line);
  }
  @keyframes shimmer {
    from {
      background-position: 100% 0;
    }
    to {
      background-position: 0 0;
    }
  }
`;

export const bellStyles = css`
  :host([mode="bell"]) {
    position: relative;
    display: inline-block;
  }
  .bell {
    position: relative;
    width: 44px;
    min-height: 44px;
    border-radius: 50%;
  }
  .badge {
    position: absolute;
    top: 2px;
    right: 0;
    min-width: 18px;
    height: 18px;
    padding: 0 5px;
    border-radius: 9px;
    background: var(--accent);
    color: var(--on-accent);
    font-size: 0.6875rem;
    font-weight: 700;
    line-height: 18px;
    text-align: center;
  }
  .badge.seen {
    background: var(--muted);
    color: var(--surface);
  }
  .panel {
    position: absolute;
    z-index: 30;
    top: calc(100% + 6px);
    right: 0;
    display: flex;
    flex-direction: column;
    width: min(26rem, calc(100vw - 1.5rem));
    max-height: min(36rem, calc(100dvh - 5rem));
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: 14px;
    background: var(--surface);
    box-shadow: 0 16px 40px rgb(0 0 0 / 18%);
  }
  .panel.opens-right {
    right: auto;
    left: 0;
  }
  .panel-head {
    display: flex;
    align-items: center;
    gap: 0.5rem;
    padding: 0.6rem 0.6rem 0.6rem 1rem;
    border-bottom: 1px solid var(--line);
  }
  .panel-head h2 {
    margin-right: auto;
    font-size: 1rem;
  }
  .panel-body {
    overflow-y: auto;
    overscroll-behavior: contain;
  }
  .panel .list {
    border: 0;
    border-radius: 0;
  }
  .panel .notice {
    margin: 0.75rem 0.75rem 0;
  }
  .panel-foot {
    display: grid;
    min-height: 44px;
    place-items: center;
    border-top: 1px solid var(--line);
    font-size: 0.9375rem;
  }
  @media (max-width: 30rem) {
    :host([mode="bell"]) .panel {
      position: fixed;
      top: 4rem;
      right: 0.75rem;
      left: auto;
    }
  }
`;
