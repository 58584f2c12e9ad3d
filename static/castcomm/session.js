/** From the attributes of a component to what it talks through. */

import { Api, pageSetting } from "./api.js";
import { sharedConnection } from "./socket.js";

/** The attributes with which a component can be put on a foreign page; Lit property declarations. */
export const sessionProperties = {
  baseUrl: { attribute: "base-url" },
  organization: {},
  token: {},
  ticket: {},
  getToken: { attribute: false },
  preferenceToken: { attribute: "preference-token" },
};

/**
 * The API and the shared connection for a component.
 *
 * On CastComm's own pages nothing is needed: the session cookie counts. Elsewhere `token` is an access token,
 * or the property `getToken` a function that gives one (called again when the last one ran out). `ticket` opens
 * the first socket. `preferenceToken` is that of the link in a mail: with it nobody is signed in, there is no socket
 * (`connection` is null), and the API answers about preferences, digests and topics alone.
 */
export function openSession({
  baseUrl = "",
  organization = "",
  token = "",
  ticket = "",
  getToken = null,
  preferenceToken = "",
}) {
  if (preferenceToken) return { api: new Api({ baseUrl, preferenceToken }), connection: null };
  const where = organization || (baseUrl ? "" : pageSetting("organization"));
  const freshToken = getToken ?? (token ? async () => token : null);
  let unspent = ticket;
  const getCredentials = async ({ stale }) => {
    if (unspent) {
      const credentials = { ticket: unspent };
      unspent = "";
      return credentials;
    }
    if (freshToken) return { token: await freshToken({ stale }) };
    const { ticket: next } = await api.post("/auth/ws-ticket");
    return { ticket: next };
  };
  const api = new Api({ baseUrl, organization: where, getToken: freshToken });
  const connection = sharedConnection({
    baseUrl,
    organization: where,
    getCredentials: freshToken || ticket ? getCredentials : null,
    key: token,
  });
  return { api, connection };
}
