// Pages work without this file; it adds what a script does better, and fetches each part only where it is used.

for (const figure of document.querySelectorAll<HTMLElement>("[data-map]")) {
  watch(figure, async () => (await import("./map")).enliven(figure));
}

const form = document.querySelector<HTMLFormElement>("form[data-editor]");
if (form) {
  import("./editor").then(({ edit }) => edit(form)).catch(() => undefined); // the plain text area stays
}

for (const list of document.querySelectorAll<HTMLElement>("[data-views]")) {
  import("./views").then(({ tabs }) => tabs(list)).catch(() => undefined);
}

/** Do something when an element comes near the part of the page that is seen. */
function watch(element: Element, then: () => Promise<void>): void {
  const observer = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        void then().catch(() => undefined);
      }
    },
    { rootMargin: "200px" },
  );
  observer.observe(element);
}
