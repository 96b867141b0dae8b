"use strict";
// Tables marked data-sortable: a button in every head sorts by its column; what is no number, an en
// dash for example, comes last either way. A cell's data-value goes before its text.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const collator = new Intl.Collator(undefined, { numeric: true });
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim().replace(/[\s\u202f]/g, "");
    const value = text === "" ? NaN : Number(text.replace("\u2212", "-"));
    return Number.isNaN(value) ? cell.textContent.trim() : value;
  };
  const compare = (one, other, sign) => {
    const areNumbers = [typeof one === "number", typeof other === "number"];
    if (areNumbers[0] !== areNumbers[1]) return areNumbers[0] ? -1 : 1;
    return sign * (areNumbers[0] ? one - other : collator.compare(one, other));
  };
  heads.forEach((head, column) => {
    if (head.dataset.sort === "no") return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const firstIsText = typeof valueOf(body.rows[0] ?? head.parentNode, column) === "string";
      const before = head.getAttribute("aria-sort");
      const now = before === "descending" || (!before && firstIsText) ? "ascending" : "descending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      const sign = now === "ascending" ? 1 : -1;
      const keyed = [...body.rows].map((row) => [valueOf(row, column), row]);
      keyed.sort((one, other) => compare(one[0], other[0], sign));
      body.append(...keyed.map((pair) => pair[1]));
    });
  });
}

// On paper everything is open.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

// The list of sections marks the one that is being read.
{
  const links = new Map(
    [...document.querySelectorAll(".contents a")].map((a) => [a.getAttribute("href").slice(1), a]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) observer.observe(section);
  }
}
