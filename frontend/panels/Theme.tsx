import { useState } from "preact/hooks";
import { keepTheme } from "../api/client";

const THEMES = ["system", "light", "dark"] as const;
const TITLES = { system: "As the system", light: "Light", dark: "Dark" };

/** The choice takes effect at once; a cookie keeps it for every page. */
export function Theme() {
  const { dataset } = document.documentElement;
  const [now, setNow] = useState(dataset.theme ?? "system");
  return (
    <fieldset class="segments" aria-label="Light or dark">
      {THEMES.map((theme) => (
        <button
          key={theme}
          type="button"
          class="segment"
          aria-pressed={now === theme}
          onClick={() => {
            if (theme === "system") delete dataset.theme;
            else dataset.theme = theme;
            setNow(theme);
            void keepTheme(theme);
          }}
        >
          {TITLES[theme]}
        </button>
      ))}
    </fieldset>
  );
}
