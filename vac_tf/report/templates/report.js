// The table of labels and the slider: everything is recomputed from counts that the page holds.
{
  const data = JSON.parse(document.getElementById("label-data").textContent);
  const byId = (id) => document.getElementById(id);
  const [left, top, right, bottom] = byId("curve").dataset.frame.split(" ").map(Number);
  const percent = (value) => (value === null ? "–" : (100 * value).toFixed(1));
  const ratio = (part, whole) => (whole > 0 ? part / whole : 0);
  const sum = (values) => values.reduce((one, other) => one + other, 0);
  const svg = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  // All labels counted together, as a label of its own; its curve has a point per threshold.
  const together = {
    name: "All labels together", positives: sum(data.labels.map((label) => label.positives)),
    known: sum(data.labels.map((label) => label.known)),
    true: data.thresholds.map((_, step) => sum(data.labels.map((label) => label.true[step]))),
    false: data.thresholds.map((_, step) => sum(data.labels.map((label) => label.false[step]))),
  };
  const steps = data.thresholds.map((_, step) => step).filter(
    (step) => together.true[step] + together.false[step] > 0).reverse();
  together.recall = steps.map((s) => 1000 * ratio(together.true[s], together.positives));
  together.precision = steps.map(
    (s) => 1000 * ratio(together.true[s], together.true[s] + together.false[s]));

  const choice = byId("chosen-label"), slider = byId("threshold");
  const rows = [...byId("label-table").tBodies[0].rows];
  choice.append(new Option(together.name, "-1"));
  data.labels.forEach((label, index) => choice.append(new Option(label.name, index)));
  const current = () => (choice.value === "-1" ? together : data.labels[choice.value]);

  // Left of its first point a curve is level, so that a single point is a line too.
  const pathOf = (label, x, y) => label.recall.map((recall, index) => {
    const height = y(label.precision[index] / 1000).toFixed(1);
    return (index ? "L" : `M${x(0).toFixed(1)} ${height}L`) + x(recall / 1000).toFixed(1) + " " + height;
  }).join("");
  const x = (share) => left + share * (right - left);
  const y = (share) => bottom - share * (bottom - top);

  const chart = byId("curve").querySelector("svg");
  const drawn = svg("g", { class: "series-1" });
  const chance = svg("path", { class: "reference" });
  const line = svg("path", { class: "line" });
  const mark = svg("circle", { class: "mark", r: 6 });
  drawn.append(chance, line, mark);
  chart.append(drawn);

  const show = () => {
    const label = current(), step = Number(slider.value);
    const right_ = label.true[step], wrong = label.false[step];
    const has = label.positives > 0;
    const precision = ratio(right_, right_ + wrong);
    const recall = has ? right_ / label.positives : null;
    const f1 = has ? ratio(2 * right_, right_ + wrong + label.positives) : null;
    const text = String(data.thresholds[step]);
    byId("threshold-text").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    byId("read-precision").textContent = percent(precision);
    byId("read-recall").textContent = percent(recall);
    byId("read-f1").textContent = percent(f1);
    byId("read-true").textContent = right_.toLocaleString("en");
    byId("read-false").textContent = wrong.toLocaleString("en");
    byId("read-missed").textContent = (label.positives - right_).toLocaleString("en");
    line.setAttribute("d", pathOf(label, x, y));
    const share = ratio(label.positives, label.known);
    chance.setAttribute("d", `M${left} ${y(share)}H${right}`);
    mark.setAttribute("cx", x(recall ?? 0));
    mark.setAttribute("cy", y(precision));
    mark.style.display = has && right_ + wrong > 0 ? "" : "none";
    chart.setAttribute("aria-label", has
      ? `Precision-recall curve of ${label.name}; at threshold ${text} precision ` +
        `${percent(precision)}, recall ${percent(recall)} percent`
      : `${label.name} has no positive image, and so no curve`);
    byId("tuned-note").textContent = has ? "" : "No image has this label: no recall, no curve.";
    rows.forEach((row) => row.classList.toggle(
      "chosen", row.querySelector(".pick").dataset.label === choice.value));
  };
  choice.addEventListener("change", show);
  slider.addEventListener("input", show);
  byId("label-table").addEventListener("click", (event) => {
    const button = event.target.closest(".pick");
    if (!button) return;
    choice.value = button.dataset.label;
    show();
    const explorer = document.querySelector(".explorer");
    const box = explorer.getBoundingClientRect();
    if (box.bottom < 80 || box.top > innerHeight - 80) explorer.scrollIntoView({ block: "center" });
  });

  byId("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLocaleLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.cells[0].textContent.toLocaleLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    byId("filter-count").textContent = wanted ? `${shown} of ${rows.length}` : "";
  });

  for (const row of rows) {
    const label = data.labels[row.querySelector(".pick").dataset.label];
    if (!label.recall.length) continue;
    const small = svg("svg", { viewBox: "0 0 68 22", "aria-hidden": "true" });
    small.append(svg("line", { x1: 1, x2: 67, y1: 21, y2: 21 }), svg("path", {
      d: pathOf(label, (share) => 1 + 66 * share, (share) => 20.5 - 19 * share) }));
    row.querySelector(".spark").append(small);
  }
  show();
}
