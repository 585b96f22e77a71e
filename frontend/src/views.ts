// Table, chart and map of one answer as tabs (WAI-ARIA Authoring Practices, tabs); without scripts they stand one below the other.

/** Make tabs of a list of links to parts of the page. */
export function tabs(list: HTMLElement): void {
  const links = [...list.querySelectorAll<HTMLAnchorElement>("a[href^='#']")];
  const panels = links.map((link) => document.getElementById(link.hash.slice(1)));
  list.setAttribute("role", "tablist");
  links.forEach((link, place) => {
    const panel = panels[place];
    link.parentElement?.setAttribute("role", "presentation");
    link.setAttribute("role", "tab");
    link.id ||= `tab-${place}`;
    if (panel) {
      link.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", link.id);
      panel.removeAttribute("aria-label");
    }
    link.addEventListener("click", (event) => {
      event.preventDefault();
      choose(place);
    });
    link.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step) choose((place + step + links.length) % links.length, true);
    });
  });

  function choose(chosen: number, focus = false): void {
    links.forEach((link, place) => {
      link.setAttribute("aria-selected", String(place === chosen));
      link.tabIndex = place === chosen ? 0 : -1;
      const panel = panels[place];
      if (panel) panel.hidden = place !== chosen;
    });
    if (focus) links[chosen]?.focus();
  }

  choose(0);
}
