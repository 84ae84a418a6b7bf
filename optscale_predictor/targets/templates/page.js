"use strict";
// Sorts and filters the list of questions; without it the page is whole and stands in order of difficulty.
(() => {
  const controls = document.getElementById("controls");
  const list = document.getElementById("questions");
  const sort = document.getElementById("sort");
  const bands = [...controls.querySelectorAll("input[name=band]")];

  function show() {
    const shown = new Set(bands.filter((box) => box.checked).map((box) => box.value));
    const items = [...list.children];
    items.sort((one, other) => Number(one.dataset[sort.value]) - Number(other.dataset[sort.value]));
    for (const item of items) item.hidden = !shown.has(item.dataset.band);
    list.append(...items);
  }

  // A link to histograms.html#by-std opens the page sorted so.
  function follow() {
    const key = location.hash.replace("#by-", "");
    if ([...sort.options].some((option) => option.value === key)) sort.value = key;
    show();
  }

  sort.addEventListener("change", show);
  for (const box of bands) box.addEventListener("change", show);
  addEventListener("hashchange", follow);
  controls.hidden = false;
  follow();
})();
