// Sets the chosen theme before the first paint; a classic script, because modules run too late for that.
(() => {
  try {
    const theme = localStorage.getItem("bedplate.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's theme is used then.
  }
})();
