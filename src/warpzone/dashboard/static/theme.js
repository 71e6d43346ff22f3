// Before anything is drawn: the theme that was chosen, or that of the system.
{
  const choices = ["system", "light", "dark"];
  const root = document.documentElement;
  const read = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const set = (choice) => {
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
  };
  let chosen = choices.includes(read()) ? read() : "system";
  set(chosen);
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => {
      button.textContent = { system: "◐ system", light: "☀ light", dark: "☾ dark" }[chosen];
      button.setAttribute("aria-label", `colours: ${chosen}; change`);
    };
    const changed = () => document.dispatchEvent(new CustomEvent("theme"));
    button.addEventListener("click", () => {
      chosen = choices[(choices.indexOf(chosen) + 1) % choices.length];
      try {
        localStorage.setItem("theme", chosen);
      } catch {
        // then it holds until the page is left
      }
      set(chosen);
      label();
      changed();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    label();
  });
}
