"use strict";
// Filters and sorts the list of questions; without it the page is whole, and every question is there.
(() => {
  const controls = document.getElementById("controls");
  const list = document.getElementById("items");
  const group = document.getElementById("group");
  const order = document.getElementById("order");
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const items = [...list.children];
  const texts = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));

  function show() {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const item of items) {
      const fits = (!group.value || item.dataset.group === group.value) && texts.get(item).includes(wanted);
      item.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${items.length} shown`;
  }

  function arrange() {
    const key = order.value;
    const sign = key === "order" ? 1 : -1;
    const sorted = [...items].sort(
      (one, other) => sign * (Number(one.dataset[key]) - Number(other.dataset[key])) || one.dataset.order - other.dataset.order,
    );
    list.append(...sorted);
  }

  controls.addEventListener("submit", (event) => event.preventDefault());
  group.addEventListener("change", show);
  search.addEventListener("input", show);
  order.addEventListener("change", arrange);
  controls.hidden = false;
  show();
})();
