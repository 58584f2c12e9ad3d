/** Why a switch stands as it does: a word for under it, and a sentence for its description. */

const WORDS = {
  critical: ["always", "It is too important to be turned off."],
  preferred: ["you", "You turned this on."],
  preference: ["you", "You turned this off."],
  default: ["default", "This is how it is set up for everybody."],
  not_requested: ["unused", "This kind of message does not use this channel unless you turn it on."],
  no_address: ["no address", "There is no address or number for this channel."],
  no_template: ["unused", "This kind of message has no text for this channel."],
  suppression: ["blocked", "Messages to this address came back, so nothing is sent to it."],
  no_consent: ["asks you", "It comes only if you turn it on."],
  digest: ["digest", "It comes in your digest."],
  quiet_hours: ["quiet now", "It is your quiet time; it would come afterwards."],
  quiet_hours_drop: ["quiet now", "It is your quiet time, and this kind of message does not wait."],
};

/** Of a cell of `/preferences/effective`: [word, sentence]. */
export function whyOf({ reason, sentence, set_by: setBy }) {
  if (reason === "preference" && setBy === "organization") {
    return ["default", "This is off for everybody who does not turn it on."];
  }
  return WORDS[reason] ?? [reason.replaceAll("_", " "), sentence];
}
