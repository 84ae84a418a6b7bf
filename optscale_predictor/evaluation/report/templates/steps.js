// Steps through a question's draws, as a debugger does through a program: what was drawn so far, what was believed of the
// next score, and what the policy did. Without it the steps are a table.
(() => {
  const LEFT = 4, RIGHT = 336, TOP = 12, BOTTOM = 60; // of the drawing of bars

  function shape(svg, name, kind) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    made.setAttribute("class", kind);
    return svg.appendChild(made);
  }

  let next = 0;

  function button(text, label) {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", textContent: text });
    made.setAttribute("aria-label", label);
    return made;
  }

  function stepper(item) {
    const steps = item.querySelector("details.steps");
    if (!steps || item.querySelector(".stepper")) return;
    const rows = [...steps.querySelectorAll("tbody tr")];
    const names = [...steps.querySelectorAll("thead th")].map((cell) => cell.textContent);
    const last = rows.length - 1;
    const svg = item.querySelector("svg.strip");
    const box = document.createElement("div");
    const range = document.createElement("input");
    const label = document.createElement("label");
    const back = button("◀", "One draw back"), on = button("▶", "One draw on");
    const facts = document.createElement("dl");
    const id = `step${next++}`;
    box.className = "stepper";
    Object.assign(range, { type: "range", id, min: 0, max: last, value: last });
    Object.assign(label, { htmlFor: id, textContent: "Draw" });
    facts.className = "step-facts";
    box.append(label, back, range, on);
    steps.before(box, facts);
    const veil = shape(svg, "rect", "veil"), band = shape(svg, "rect", "band"), needed = shape(svg, "line", "needed");
    const target = svg.querySelector(".target");
    if (target) svg.append(target); // what is aimed at is known from the start
    const wide = (RIGHT - LEFT) / Number(svg.dataset.slots);
    const up = (score) => BOTTOM - score * (BOTTOM - TOP);

    function place(element, values) {
      for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
    }

    function show() {
      const at = Number(range.value), row = rows[at], x = LEFT + at * wide;
      const told = [...row.children].map((cell, index) => [names[index], cell.textContent]).filter(([, text]) => text);
      facts.replaceChildren(
        ...told.map(([name, text]) => {
          const pair = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
          Object.assign(term, { textContent: name });
          Object.assign(value, { textContent: text });
          pair.append(term, value);
          return pair;
        }),
      );
      range.setAttribute("aria-valuetext", told.map((pair) => pair.join(": ")).join("; "));
      rows.forEach((one, index) => one.toggleAttribute("data-now", index === at));
      back.disabled = at === 0;
      on.disabled = at === last;
      place(veil, { x, y: 0, width: at === last ? 0 : RIGHT - x, height: BOTTOM });
      const low = Number(row.dataset.low), high = Number(row.dataset.high);
      place(band, { x, y: up(high) || 0, width: row.dataset.low ? Math.max(RIGHT - x, 0) : 0, height: up(low) - up(high) || 0 });
      const wanted = Number((told.find(([name]) => name === "N*") || [, NaN])[1]);
      const right = LEFT + wanted * wide;
      place(needed, { x1: right || 0, x2: right || 0, y1: TOP, y2: BOTTOM, visibility: right <= RIGHT ? "visible" : "hidden" });
    }

    function move(by) {
      range.value = Number(range.value) + by;
      show();
    }

    range.addEventListener("input", show);
    back.addEventListener("click", () => move(-1));
    on.addEventListener("click", () => move(1));
    // Wherever the focus is in the question, as far as the keys are free: tables scroll with them, and fields take them.
    item.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, .wide, .text")) return;
      const by = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      move(by);
    });
    show();
  }

  document.getElementById("items").addEventListener(
    "toggle",
    (event) => {
      if (event.target.open && event.target.parentElement.matches("#items > li")) stepper(event.target.parentElement);
    },
    true, // a toggle does not bubble
  );
})();
