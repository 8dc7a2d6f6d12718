// Sets the chosen theme before the first paint. Without a choice, the style sheet follows the system.
(() => {
  try {
    const theme = localStorage.getItem("kiln.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's theme is then the only one.
  }
})();
