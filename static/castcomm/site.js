/** What pages do around the components: the menu, the appearance, the title, the address of the chat. */

const root = document.documentElement;

function setUpMenu(menu) {
  const close = () => menu.removeAttribute("open");
  document.addEventListener("pointerdown", (event) => {
    if (!menu.contains(event.target)) close();
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    close();
    menu.querySelector("summary").focus();
  });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) close();
  });
}

function setUpThemes(choice) {
  choice.hidden = false;
  const current = root.dataset.theme ?? "";
  for (const input of choice.querySelectorAll("input")) {
    input.checked = input.value === current;
    input.addEventListener("change", () => setTheme(input.value));
  }
}

function setTheme(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  try {
    if (theme) localStorage.setItem("castcomm.theme", theme);
    else localStorage.removeItem("castcomm.theme");
  } catch {
    // Then the choice lasts as long as the page.
    return;
  }
}

/** The number of unread notifications, where it can be seen from another tab. */
function setUpTitle() {
  const title = document.title;
  document.addEventListener("castcomm-unread", ({ detail: { unread } }) => {
    document.title = unread ? `(${unread}) ${title}` : title;
  });
}

/** The open conversation stands in the address, so that Back and a reload do what one expects. */
function setUpChat(chat) {
  const addressOf = (thread) => (thread ? `${chat.getAttribute("threads-url")}${thread}/` : chat.getAttribute("threads-url"));
  chat.addEventListener("castcomm-thread", ({ detail: { thread } }) => {
    history.pushState({ thread }, "", addressOf(thread));
  });
  history.replaceState({ thread: chat.getAttribute("thread") ?? "" }, "");
  window.addEventListener("popstate", ({ state }) => {
    chat.thread = state?.thread ?? "";
  });
}

for (const menu of document.querySelectorAll("details.menu")) setUpMenu(menu);
for (const choice of document.querySelectorAll("[data-theme-choice]")) setUpThemes(choice);
for (const chat of document.querySelectorAll("castcomm-chat")) setUpChat(chat);
setUpTitle();
