/**
 * The REST API as the pages see it: JSON in, JSON out, every refusal one kind of error.
 *
 * Signs requests with the session cookie and Django's CSRF cookie, or, when the page belongs to somebody
 * else, with an access token, or with the token of the link in a mail by which the person came.
 */

const TIMEOUT_MS = 15_000;

/** What the server refused, or that it could not be asked (status 0). */
export class ApiError extends Error {
  /**
   * @param {{status: number, errors: {code: string, detail: string, attr: ?string}[], retryAfter?: number}} fields
   */
  constructor({ status, errors, retryAfter = 0 }) {
    super(errors[0].detail);
    this.name = "ApiError";
    this.status = status;
    this.errors = errors;
    this.code = errors[0].code;
    /** The field that the first error is about, or null. */
    this.attr = errors[0].attr ?? null;
    /** Seconds to wait before asking again; 0 when the server did not say. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get temporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The value of a cookie, or "". */
export function cookie(name) {
  for (const part of document.cookie.split("; ")) {
    const at = part.indexOf("=");
    if (part.slice(0, at) === name) return decodeURIComponent(part.slice(at + 1));
  }
  return "";
}

/** What the page says in `<meta name="castcomm:…">`, or "". */
export function pageSetting(name) {
  return document.querySelector(`meta[name="castcomm:${name}"]`)?.content ?? "";
}

export class Api {
  /**
   * @param {object} options
   * @param {string} [options.baseUrl] where CastComm answers; empty means this page's own origin
   * @param {string} [options.organization] slug or id, for people who belong to several
   * @param {?function({stale: boolean}): Promise<string>} [options.getToken] gives the access token; `stale`
   *   when the last one was refused. Without it the session cookie counts.
   * @param {string} [options.preferenceToken] of the link in a mail: stands instead of both
   */
  constructor({ baseUrl = "", organization = "", getToken = null, preferenceToken = "" } = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.organization = organization;
    this.getToken = preferenceToken ? null : getToken;
    this.preferenceToken = preferenceToken;
  }

  get(path, query = {}) {
    return this.request("GET", path, { query });
  }

  post(path, body = {}) {
    return this.request("POST", path, { body });
  }

  patch(path, body = {}) {
    return this.request("PATCH", path, { body });
  }

  /** Follows the `next` or `previous` of a page of results. */
  follow(link) {
    const url = new URL(link, this.#root());
    return this.request("GET", url.pathname.replace(/^.*?\/api\/v1/, ""), {
      query: Object.fromEntries(url.searchParams),
    });
  }

  /** One request below `/api/v1`; resolves with the parsed answer (null when empty), rejects with ApiError. */
  async request(method, path, { query = {}, body } = {}) {
    let response = await this.#fetch(method, path, query, body, false);
    if (response.status === 401 && this.getToken) {
      response = await this.#fetch(method, path, query, body, true);
    }
    const answer = await readJson(response);
    if (!response.ok) throw errorFrom(response, answer);
    return answer;
  }

  async #fetch(method, path, query, body, stale) {
    const url = new URL(`${this.#root()}/api/v1${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
    }
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.organization) headers["X-Organization"] = this.organization;
    if (this.preferenceToken) headers.Authorization = `Preferences ${this.preferenceToken}`;
    else if (this.getToken) headers.Authorization = `Bearer ${await this.getToken({ stale })}`;
    else if (method !== "GET") headers["X-CSRFToken"] = cookie(pageSetting("csrf-cookie") || "csrftoken");
    try {
      return await fetch(url, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: this.getToken || this.preferenceToken ? "omit" : "same-origin",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw unreachable(error);
    }
  }

  #root() {
    return this.baseUrl || window.location.origin;
  }
}

async function readJson(response) {
  const text = await response.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's error page: errorFrom says what can be said.
    return null;
  }
}

function errorFrom(response, answer) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  const told = Array.isArray(answer?.errors) && answer.errors.length > 0;
  const errors = told
    ? answer.errors
    : [{ code: "error", detail: `The server answered ${response.status}. Please try again.`, attr: null }];
  return new ApiError({ status: response.status, errors, retryAfter });
}

function unreachable(error) {
  const late = error?.name === "TimeoutError";
  return new ApiError({
    status: 0,
    errors: [
      {
        code: late ? "timeout" : "unreachable",
        detail: late ? "The server took too long to answer." : "The server cannot be reached.",
        attr: null,
      },
    ],
  });
}
