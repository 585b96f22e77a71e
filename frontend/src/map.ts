// Zoom and move in the drawn maps: wheel with Ctrl, pinch, drag, double click, buttons; and say what lies under the pointer.

interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

const CLOSEST = 40;

/** Make one map live. The drawing itself stays as the server sent it. */
export function enliven(figure: HTMLElement): void {
  const svg = figure.querySelector<SVGSVGElement>(":scope > svg");
  if (!svg || figure.classList.contains("live")) return;
  const [x = 0, y = 0, w = 1, h = 1] = (svg.getAttribute("viewBox") ?? "").split(/\s+/).map(Number);
  const whole: Box = { x, y, w, h };
  const width = figure.querySelector<HTMLElement>("[data-km]");
  const kilometres = Number(width?.dataset.km ?? 0);
  let box = { ...whole };

  function show(next: Box): void {
    const size = Math.min(whole.w, Math.max(whole.w / CLOSEST, next.w));
    const tall = (size * whole.h) / whole.w;
    box = {
      w: size,
      h: tall,
      x: Math.min(Math.max(next.x, whole.x), whole.x + whole.w - size),
      y: Math.min(Math.max(next.y, whole.y), whole.y + whole.h - tall),
    };
    svg!.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
    if (width && kilometres) {
      const shown = (kilometres * box.w) / whole.w;
      width.textContent = new Intl.NumberFormat(document.documentElement.lang, { maximumSignificantDigits: 2 }).format(shown);
    }
  }

  function zoom(factor: number, at?: { x: number; y: number }): void {
    const frame = svg!.getBoundingClientRect();
    const px = at ? (at.x - frame.left) / frame.width : 0.5;
    const py = at ? (at.y - frame.top) / frame.height : 0.5;
    const w = Math.min(whole.w, Math.max(whole.w / CLOSEST, box.w / factor));
    const h = (w * whole.h) / whole.w;
    show({ x: box.x + (box.w - w) * px, y: box.y + (box.h - h) * py, w, h });
  }

  svg.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls as it always does
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY });
    },
    { passive: false },
  );
  svg.addEventListener("dblclick", (event) => zoom(2, { x: event.clientX, y: event.clientY }));
  dragging(svg, () => box, show, (factor, at) => zoom(factor, at));
  figure.append(buttons(figure, zoom, () => show(whole)));
  naming(figure, svg);
  figure.classList.add("live");
}

type At = { x: number; y: number };

/** Move with one pointer, zoom with two. */
function dragging(svg: SVGSVGElement, now: () => Box, show: (box: Box) => void, zoom: (factor: number, at: At) => void): void {
  const pointers = new Map<number, At>();
  let moved = 0;
  svg.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = 0;
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const after = { x: event.clientX, y: event.clientY };
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    pointers.set(event.pointerId, after);
    moved += Math.abs(after.x - before.x) + Math.abs(after.y - before.y);
    const other = others[0];
    if (other) {
      const distance = (at: At) => Math.hypot(at.x - other.x, at.y - other.y);
      zoom(distance(after) / Math.max(1, distance(before)), { x: (after.x + other.x) / 2, y: (after.y + other.y) / 2 });
      event.preventDefault();
    } else if (moved > 4 && (event.pointerType === "mouse" || now().w < Number.MAX_VALUE)) {
      if (event.pointerType === "mouse" || moved > 8) svg.setPointerCapture(event.pointerId);
      const box = now();
      const scale = box.w / svg.getBoundingClientRect().width;
      show({ ...box, x: box.x - (after.x - before.x) * scale, y: box.y - (after.y - before.y) * scale });
    }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"] as const) {
    svg.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  svg.addEventListener(
    "click",
    (event) => {
      if (moved > 4) event.preventDefault(); // a drag is not a click on what lies below
    },
    true,
  );
}

/** Make the buttons, for keyboards and for everybody else. */
function buttons(figure: HTMLElement, zoom: (factor: number) => void, reset: () => void): HTMLElement {
  const tools = document.createElement("div");
  tools.className = "tools";
  const wanted: [string, string, () => void][] = [
    ["+", figure.dataset.nearer ?? "+", () => zoom(1.7)],
    ["−", figure.dataset.farther ?? "−", () => zoom(1 / 1.7)],
    ["⤢", figure.dataset.whole ?? "⤢", reset],
  ];
  for (const [sign, label, act] of wanted) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    tools.append(button);
  }
  return tools;
}

/** Show the name of what is under the pointer at once; the title of the drawing takes a second. */
function naming(figure: HTMLElement, svg: SVGSVGElement): void {
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.hidden = true;
  hint.setAttribute("aria-hidden", "true");
  figure.append(hint);
  svg.addEventListener("pointerover", (event) => {
    const name = event.target instanceof Element ? event.target.querySelector("title")?.textContent : null;
    hint.hidden = !name;
    hint.textContent = name ?? "";
  });
  svg.addEventListener("pointerleave", () => {
    hint.hidden = true;
  });
}
