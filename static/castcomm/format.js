/** How times, names and links are shown. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const locale = () => document.documentElement.lang || undefined;

/** "now", "5 min. ago", "yesterday", else the date. */
export function relativeTime(iso, now = Date.now()) {
  const at = new Date(iso).getTime();
  const age = now - at;
  const words = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  if (age < 45 * SECOND) return words.format(0, "second");
  if (age < 55 * MINUTE) return words.format(-Math.max(1, Math.round(age / MINUTE)), "minute");
  if (age < 20 * HOUR) return words.format(-Math.max(1, Math.round(age / HOUR)), "hour");
  if (age < 6 * DAY) return words.format(-Math.max(1, Math.round(age / DAY)), "day");
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(locale(), {
    day: "numeric",
    month: "short",
    year: sameYear ? undefined : "numeric",
  }).format(at);
}

/** The whole date and time, for titles and screen readers. */
export function fullTime(iso) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** "14:05" */
export function clockTime(iso) {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "short" }).format(new Date(iso));
}

/** "Today", "Yesterday", else the date; the same text for all times of one local day. */
export function dayName(iso, now = new Date()) {
  const day = new Date(iso);
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const ago = Math.round((midnight(now) - midnight(day)) / DAY);
  if (ago === 0 || ago === 1) {
    const words = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(-ago, "day");
    return words.charAt(0).toLocaleUpperCase(locale()) + words.slice(1);
  }
  return new Intl.DateTimeFormat(locale(), { dateStyle: "full" }).format(day);
}

/** "99+" above 99. */
export function shortCount(count) {
  return count > 99 ? "99+" : String(count);
}

/** Up to two letters that stand for a name. */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0].toLocaleUpperCase(locale())).join("") || "?";
}

/**
 * The address of a link that may be followed, or null: http and https, and paths on this site.
 * Everything else (javascript:, data:, …) is text.
 */
export function safeUrl(address, base = window.location.origin) {
  if (typeof address !== "string" || !address.trim()) return null;
  let url;
  try {
    url = new URL(address.trim(), base);
  } catch {
    return null;
  }
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
}

const LINK = /https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]]/giu;

/** Splits text into strings and `{href, text}` for its http and https addresses. */
export function withLinks(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const href = safeUrl(match[0]);
    if (!href) continue;
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push({ href, text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}
