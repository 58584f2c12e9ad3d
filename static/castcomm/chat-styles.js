import { css } from "../vendor/lit/lit-element.js";

export const avatarStyles = css`
  .avatar {
    display: grid;
    flex: none;
    place-items: center;
    width: 40px;
    height: 40px;
    border-radius: 50%;
    background: var(--tint);
    color: var(--accent);
    font-size: 0.875rem;
    font-weight: 650;
  }
`;

export const chatStyles = css`
  :host {
    display: grid;
    position: relative;
    grid-template: minmax(0, 1fr) / minmax(17rem, 22rem) minmax(0, 1fr);
    height: 100%;
    min-height: 0;
    overflow: hidden;
    background: var(--surface);
  }
  .threads {
    display: flex;
    flex-direction: column;
    min-height: 0;
    border-right: 1px solid var(--line);
  }
  .head {
    display: flex;
    align-items: center;
    gap: 0.5rem;
    min-height: 60px;
    padding: 0.5rem 0.6rem 0.5rem 1rem;
    border-bottom: 1px solid var(--line);
  }
  .threads h2 {
    margin-right: auto;
    font-size: 1.125rem;
  }
  .scroll {
    flex: 1;
    min-height: 0;
    overflow-y: auto;
    overscroll-behavior: contain;
  }
  .thread {
    display: grid;
    grid-template-columns: auto minmax(0, 1fr) auto;
    gap: 0 0.75rem;
    align-items: center;
    width: 100%;
    padding: 0.7rem 0.9rem 0.7rem 1rem;
    border-left: 3px solid transparent;
    color: inherit;
    text-decoration: none;
  }
  .thread:hover {
    background: var(--raised);
  }
  .thread[aria-current="true"] {
    border-left-color: var(--accent);
    background: var(--tint);
  }
  .thread[aria-current="true"] .avatar {
    background: var(--surface);
  }
  .thread:focus-visible {
    outline-offset: -3px;
  }
  .lines {
    min-width: 0;
  }
  .name,
  .last {
    display: block;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .name {
    font-weight: 550;
  }
  .last {
    color: var(--muted);
    font-size: 0.875rem;
  }
  .is-unread .name {
    font-weight: 700;
  }
  .is-unread .last {
    color: var(--text);
  }
  .aside {
    display: grid;
    justify-items: end;
    align-self: start;
    gap: 0.2rem;
    padding-top: 0.15rem;
    color: var(--muted);
    font-size: 0.75rem;
  }
  .count {
    min-width: 20px;
    padding: 0 6px;
    border-radius: 10px;
    background: var(--accent);
    color: var(--on-accent);
    font-weight: 700;
    line-height: 20px;
    text-align: center;
  }
  .empty {
    padding: 3rem 1.5rem;
    color: var(--muted);
    text-align: center;
  }
  .empty strong {
    display: block;
    margin-bottom: 0.25rem;
    color: var(--text);
    font-size: 1.0625rem;
  }
  .empty button {
    margin-top: 1rem;
  }
  .nobody {
    display: grid;
    place-items: center;
  }
  .threads .notice {
    margin: 0.75rem;
  }
  .more {
    width: 100%;
  }
  castcomm-conversation {
    min-width: 0;
    min-height: 0;
  }
  castcomm-person-picker {
    /* Its dialog is above everything; it needs no cell of the grid. */
    position: absolute;
  }
  @media (max-width: 48rem) {
    :host {
      grid-template-columns: minmax(0, 1fr);
    }
    :host([thread]:not([thread=""])) .threads,
    :host(:not([thread])) .nobody,
    :host([thread=""]) .nobody {
      display: none;
    }
    .threads {
      border-right: 0;
    }
  }
`;

export const conversationStyles = css`
  :host {
    display: grid;
    grid-template-rows: auto minmax(0, 1fr) auto;
    height: 100%;
  }
  .head {
    display: flex;
    align-items: center;
    gap: 0.6rem;
    min-height: 60px;
    padding: 0.5rem 1rem;
    border-bottom: 1px solid var(--line);
  }
  .head h2 {
    overflow: hidden;
    font-size: 1.0625rem;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .who {
    min-width: 0;
  }
  .status:empty {
    display: none;
  }
  .status {
    color: var(--muted);
    font-size: 0.8125rem;
    line-height: 1.2;
  }
  button.back {
    display: none;
    margin-left: -0.6rem;
  }
  .timeline {
    position: relative;
    overflow-y: auto;
    overscroll-behavior: contain;
    padding: 0.5rem 1rem 1rem;
    background: var(--raised);
  }
  .timeline:focus-visible {
    outline-offset: -3px;
  }
  .day {
    margin: 1.1rem 0 0.6rem;
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 550;
    text-align: center;
  }
  .message {
    display: flex;
    flex-direction: column;
    align-items: flex-start;
    max-width: min(36rem, 82%);
    margin-top: 0.2rem;
  }
  .message.first {
    margin-top: 0.85rem;
  }
  .message.own {
    align-items: flex-end;
    margin-left: auto;
  }
  .sender {
    margin: 0 0 0.2rem 0.75rem;
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 550;
  }
  .bubble {
    padding: 0.5rem 0.8rem;
    border: 1px solid var(--line);
    border-radius: 16px;
    background: var(--surface);
    overflow-wrap: anywhere;
    white-space: pre-wrap;
  }
  .own .bubble {
    border-color: transparent;
    background: light-dark(var(--accent), color-mix(in oklab, var(--accent) 30%, var(--surface)));
    color: light-dark(var(--on-accent), var(--text));
  }
  .own .bubble a {
    color: inherit;
  }
  .own .bubble a:focus-visible {
    outline-color: currentColor;
  }
  .message.unsent .bubble {
    border: 1px dashed var(--edge);
    background: transparent;
    color: var(--text);
  }
  .message.unsent .bubble a {
    color: var(--accent);
  }
  .gone .bubble {
    border-style: dashed;
    border-color: var(--edge);
    background: transparent;
    color: var(--muted);
    font-style: italic;
  }
  .note {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.1rem 0.5rem;
    margin: 0.15rem 0.4rem 0;
    color: var(--muted);
    font-size: 0.75rem;
  }
  .note .icon {
    width: 14px;
    height: 14px;
  }
  .note.error {
    color: var(--danger);
    font-size: 0.875rem;
  }
  .note button.link {
    min-height: 24px;
  }
  .older {
    display: block;
    margin: 0.5rem auto;
  }
  .to-end {
    position: sticky;
    bottom: 0;
    display: flex;
    align-items: center;
    gap: 0.4rem;
    width: max-content;
    margin: 0.5rem auto 0;
    border-radius: 20px;
    box-shadow: 0 4px 14px rgb(0 0 0 / 15%);
    font-size: 0.875rem;
  }
  .to-end .icon {
    width: 16px;
    height: 16px;
  }
  .empty {
    padding: 4rem 1rem;
    color: var(--muted);
    text-align: center;
  }
  .composer {
    display: flex;
    align-items: flex-end;
    gap: 0.6rem;
    padding: 0.7rem 1rem max(0.7rem, env(safe-area-inset-bottom));
    border-top: 1px solid var(--line);
    background: var(--surface);
  }
  .composer textarea {
    flex: 1;
    min-height: 44px;
    max-height: 9rem;
    padding: 0.6rem 0.9rem;
    border-radius: 22px;
    resize: none;
    field-sizing: content;
  }
  .composer button {
    display: inline-flex;
    align-items: center;
    gap: 0.4rem;
    min-height: 44px;
    border-radius: 22px;
  }
  .read-only {
    padding: 0.9rem 1rem;
    border-top: 1px solid var(--line);
    color: var(--muted);
    text-align: center;
  }
  .offline {
    padding: 0.4rem 1rem;
    background: var(--raised);
    border-bottom: 1px solid var(--line);
    font-size: 0.875rem;
  }
  .top {
    min-width: 0;
  }
  @media (max-width: 48rem) {
    .head {
      padding-left: 0.75rem;
    }
    button.back {
      display: inline-grid;
    }
    .composer .word {
      display: none;
    }
    .composer button {
      width: 44px;
      padding: 0;
      justify-content: center;
    }
  }
`;

export const pickerStyles = css`
  dialog {
    width: min(28rem, calc(100vw - 2rem));
    max-height: min(34rem, calc(100dvh - 3rem));
    padding: 0;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: 14px;
    background: var(--surface);
    color: var(--text);
    box-shadow: 0 24px 60px rgb(0 0 0 / 28%);
  }
  dialog[open] {
    display: flex;
    flex-direction: column;
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 45%);
  }
  .head {
    display: flex;
    align-items: center;
    justify-content: space-between;
    padding: 0.7rem 0.6rem 0.2rem 1.1rem;
  }
  .head h2 {
    font-size: 1.0625rem;
  }
  .search {
    display: grid;
    gap: 0.3rem;
    padding: 0.3rem 1.1rem 0.9rem;
    border-bottom: 1px solid var(--line);
    font-size: 0.9375rem;
  }
  .people {
    overflow-y: auto;
    padding: 0.4rem;
  }
  .person {
    display: flex;
    align-items: center;
    gap: 0.75rem;
    width: 100%;
    min-height: 52px;
    padding: 0.35rem 0.7rem;
    border: 0;
    background: none;
    text-align: left;
  }
  .person:hover {
    background: var(--raised);
  }
  .person:focus-visible {
    outline-offset: -2px;
  }
  .role {
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 400;
  }
  .empty {
    padding: 1.5rem 1rem;
    color: var(--muted);
    text-align: center;
  }
  .notice {
    margin: 0.7rem;
  }
`;
