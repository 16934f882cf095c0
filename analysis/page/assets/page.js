"use strict";
(() => {
  const key = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    return value === undefined ? cell.textContent.trim() : Number(value);
  };

  // Numbers before words, empty cells last whatever the direction; equal rows keep their order.
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const kinds = (typeof a === "string") - (typeof b === "string");
    if (kinds) return kinds;
    return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
        rows.sort((one, two) => compare(one[0], two[0], down ? -1 : 1));
        table.tBodies[0].append(...rows.map((pair) => pair[1]));
      });
    });
  }

  for (const part of document.querySelectorAll(".trials-of")) {
    const form = part.querySelector("form");
    if (!form) continue;
    const [find, status, count] = [".find", "select.status", ".count"].map((name) => form.querySelector(name));
    const rows = [...part.querySelectorAll("table.trials tbody tr")];
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const filter = () => {
      const words = find.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const fits = (!status.value || row.dataset.status === status.value) && words.every((w) => texts.get(row).includes(w));
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = `${shown} of ${rows.length}`;
    };
    find.addEventListener("input", filter);
    status.addEventListener("change", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  const packed = [...document.querySelectorAll("script.data")];
  const unpacked = [];
  const data = (sweep) => {
    unpacked[sweep] ??= (async () => {
      const bytes = Uint8Array.from(atob(packed[sweep].textContent.trim()), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return JSON.parse(await new Response(stream).text());
    })();
    return unpacked[sweep];
  };

  const colours = { train: "#7d8fa0", val: "#c9a227", test: "#d9822b" };
  const dialog = document.getElementById("detail");
  const curve = document.getElementById("curve");
  const show = async (sweep, name) => {
    const trial = (await data(sweep))[name];
    document.getElementById("detail-title").textContent = name;
    const rows = Object.entries(trial.config).map(([key, value]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = key;
      const cell = document.createElement("td");
      cell.textContent = value;
      row.append(head, cell);
      return row;
    });
    document.getElementById("config").replaceChildren(...rows);
    const traces = Object.entries(trial.curves).map(([column, values]) => {
      const [split, kind] = column.split("_");
      const label = { train: "training", val: "validation", test: "test" }[split];
      return {
        x: trial.epoch, y: values, name: `${label}, ${kind}`, mode: "lines", connectgaps: true,
        line: { color: colours[split], dash: kind === "natural" ? "solid" : "dash", width: 2 },
        hovertemplate: "%{y:.1f}%",
      };
    });
    const style = getComputedStyle(document.body);
    const [text, line] = [style.color, style.getPropertyValue("--line")];
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: text, size: 13 },
      margin: { l: 50, r: 10, t: 10, b: 40 }, hovermode: "x unified",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      hoverlabel: { bgcolor: style.backgroundColor, font: { color: text } },
      xaxis: { title: { text: "epoch" }, gridcolor: line, zeroline: false },
      yaxis: { title: { text: "accuracy (%)" }, gridcolor: line, rangemode: "tozero", zeroline: false },
      shapes: trial.best === null ? [] : [{
        type: "line", x0: trial.best, x1: trial.best, yref: "paper", y0: 0, y1: 1, line: { color: text, width: 1, dash: "dot" },
      }],
    };
    dialog.showModal();
    curve.setAttribute("aria-label", `accuracies by epoch of ${name}`);
    if (trial.epoch.length) await Plotly.newPlot(curve, traces, layout, { responsive: true, displayModeBar: false });
    else { Plotly.purge(curve); curve.textContent = "No epoch has been evaluated."; }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.open");
    if (button) show(Number(button.dataset.sweep), button.dataset.trial);
    else if (event.target === dialog) dialog.close();
  });
})();
