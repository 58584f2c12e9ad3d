// Keeps the list current without a reload, and deletes on request. The pages work without it.
const list = document.getElementById("list");
const LOOK_AGAIN = 2000; // milliseconds

async function refresh() {
  const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
  const focused = document.activeElement?.getAttribute?.("href");
  document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
  if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

async function look() {
  const current = document.getElementById("list");
  try {
    const { total, messages } = await (await fetch("/api/messages?limit=1")).json();
    const newest = String(messages[0]?.id ?? 0);
    if (newest !== current.dataset.newest || String(total) !== current.dataset.total) await refresh();
  } catch {
    document.getElementById("count").textContent = "The mail catcher does not answer.";
  }
  setTimeout(look, LOOK_AGAIN);
}

if (list) {
  setTimeout(look, LOOK_AGAIN);
  document.addEventListener("click", async (event) => {
    if (event.target.id !== "clear" || !confirm("Delete every mail in the catcher?")) return;
    await fetch("/api/messages", { method: "DELETE" });
    await refresh();
  });
}
