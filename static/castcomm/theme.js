// Runs before the first paint, so that a chosen appearance does not flash the other one.
try {
  const theme = localStorage.getItem("castcomm.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, no choice: the system's appearance it is.
  document.documentElement.removeAttribute("data-theme");
}
