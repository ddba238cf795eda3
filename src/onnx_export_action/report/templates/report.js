"use strict";
(() => {
  const table = document.getElementById("all-files");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const [find, state, sort, count] = ["find", "state", "sort", "count"].map((id) => document.getElementById(id));
  const headings = [...table.tHead.rows[0].cells];

  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.words.includes(word));
      row.hidden = !(fits && (!state.value || row.dataset.state === state.value));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length}`;
  };

  const keyOf = (row, column) => {
    const key = row.cells[column].dataset.key;
    const number = Number(key);
    return key === "" ? null : Number.isNaN(number) ? key.toLowerCase() : number;
  };

  // What was not measured stands last, whichever way the others are sorted.
  const order = (column, descending) => {
    const sign = descending ? -1 : 1;
    const sorted = column === null ? rows : rows.toSorted((one, other) => {
      const [first, second] = [keyOf(one, column), keyOf(other, column)];
      if (first === null || second === null) return (first === null) - (second === null);
      if (typeof first !== typeof second) return sign * String(first).localeCompare(String(second));
      return sign * (typeof first === "number" ? first - second : first.localeCompare(second));
    });
    body.append(...sorted);
    headings.forEach((heading, place) => {
      if (place === column) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
    sort.value = column === null ? "" : String(column);
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => order(column, heading.getAttribute("aria-sort") === "ascending"));
    heading.replaceChildren(button);
    sort.add(new Option(button.textContent, String(column)));
  });
  sort.addEventListener("change", () => order(sort.value === "" ? null : Number(sort.value), false));
  find.addEventListener("input", show);
  state.addEventListener("change", show);
  document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); find.focus(); }
    if (event.key === "Escape" && document.activeElement === find) { find.value = ""; show(); }
  });
  document.querySelector(".filter").hidden = false;
  show();
})();
