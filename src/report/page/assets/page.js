// The curves of a report: uPlot panels that share their zoom and their cursor. The data is in the script element `data`.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const UNITS = { iter: "iteration", epoch: "epoch", time: "time", lr: "learning rate" };
  const state = Object.assign({ x: "iter", smooth: 1, log: false, zoom: null }, stored());
  let charts = [];

  // What the reader chose survives the page's renewal while a run goes on.
  function stored() {
    try { return JSON.parse(sessionStorage.getItem(location.pathname)) || {}; } catch { return {}; }
  }
  function keep() {
    try { sessionStorage.setItem(location.pathname, JSON.stringify(state)); } catch { /* private windows have no storage */ }
  }

  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hue = index => color("--h" + index % data.hues);

  // A number as people write it.
  function number(value) {
    if (value == null || !isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e9)) return String(+value.toPrecision(4)).includes("e")
      ? (+value.toPrecision(4)).toExponential() : (+value.toPrecision(3)).toExponential();
    return (+value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
  }

  // The x of an iteration: between the records around it, or, for the learning rate, that of the record before it.
  function converter(run, mode) {
    if (mode === "iter") return iteration => iteration;
    const at = run.records.iter, values = run.records[mode];
    if (!values || !at.length) return null;
    return iteration => {
      let low = 0, high = at.length - 1;
      if (iteration <= at[0]) return values[0];
      if (iteration >= at[high]) return values[high];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (at[middle] <= iteration) low = middle; else high = middle;
      }
      if (mode === "lr") return at[high] === iteration ? values[high] : values[low];
      return values[low] + (values[high] - values[low]) * (iteration - at[low]) / (at[high] - at[low]);
    };
  }

  // Means over `count` values around each.
  function smoothed(values, count) {
    const before = (count - 1) >> 1, after = count >> 1;
    return values.map((_, index) => {
      let sum = 0, found = 0;
      for (let i = Math.max(0, index - before); i <= Math.min(values.length - 1, index + after); i++) {
        if (values[i] != null) { sum += values[i]; found++; }
      }
      return found ? sum / found : null;
    });
  }

  // The x unit of times: seconds, minutes or hours.
  function timeUnit() {
    const last = Math.max(0, ...data.runs.map(run => run.records.time ? run.records.time[run.records.time.length - 1] : 0));
    return last < 600 ? [1, "seconds"] : last < 36000 ? [60, "minutes"] : [3600, "hours"];
  }

  // The curves of a panel over the chosen x: tables of sorted x and y, and how each is drawn.
  function curves(panel) {
    const [unit] = state.x === "time" ? timeUnit() : [1];
    const tables = [], looks = [{}];
    if (state.x === "lr" && panel.title === "learning rate") return { tables, looks };
    panel.series.forEach(series => {
      const convert = converter(data.runs[series.run], state.x);
      if (!convert) return;
      let points = series.iter.map((iteration, index) => [convert(iteration) / unit, series.y[index]]);
      const last = points.length - 1;
      const ordered = points[last][0] > points[0][0] && points.every((point, index) => index === 0 || point[0] >= points[index - 1][0]);
      let values = points.map(point => point[1]);
      // Few points, such as those of tests, stay as they are.
      const mean = state.smooth > 1 && panel.smooth && values.length >= 4 * state.smooth ? smoothed(values, state.smooth) : null;
      const add = (ys, raw) => {
        const pairs = points.map((point, index) => [point[0], ys[index]]);
        if (!ordered) pairs.sort((one, other) => one[0] - other[0]);
        // uPlot wants each x above the one before: equal ones go a hair's breadth aside.
        const hair = (pairs[last][0] - pairs[0][0]) * 1e-9 || 1e-9;
        pairs.forEach((pair, index) => { if (index && pair[0] <= pairs[index - 1][0]) pair[0] = pairs[index - 1][0] + hair; });
        tables.push([pairs.map(pair => pair[0]), pairs.map(pair => pair[1])]);
        const line = ordered && pairs.length > 1;
        looks.push({
          label: series.name, class: raw ? "raw" : "curve", spanGaps: true, width: raw ? 1 : 1.8, pxAlign: 0, alpha: raw ? 0.3 : 1,
          stroke: () => hue(series.hue), dash: series.dashed || series.hue >= data.hues ? [6, 4] : undefined,
          paths: line ? undefined : () => null,
          points: { show: !raw && (!line || pairs.length < 3), size: 5, fill: () => hue(series.hue) },
          value: (_, value) => number(value),
        });
      };
      if (mean) add(values, true);
      add(mean || values, false);
    });
    return { tables, looks };
  }

  function axis(extra) {
    return Object.assign({
      stroke: () => color("--quiet"), font: "12px system-ui, sans-serif", values: (_, ticks) => ticks.map(tick => tick == null ? "" : number(tick)),
      grid: { stroke: () => color("--line"), width: 1 }, ticks: { stroke: () => color("--line"), width: 1, size: 4 },
    }, extra);
  }

  function draw() {
    const seen = charts.map(chart => chart.series.map(series => series.show));
    charts.forEach(chart => chart.destroy());
    charts = [];
    const label = state.x === "time" ? timeUnit()[1] : UNITS[state.x];
    data.panels.forEach((panel, index) => {
      const place = document.getElementById("panel" + index), { tables, looks } = curves(panel);
      place.parentElement.hidden = !tables.length;
      if (!tables.length) return;
      const log = state.log && panel.log;
      const xs = tables.flatMap(table => table[0]), least = xs.reduce((one, other) => Math.min(one, other));
      const wide = state.x === "lr" && least > 0 && xs.reduce((one, other) => Math.max(one, other)) > 100 * least;
      looks[0] = { label, value: (_, value) => number(value) };
      const chart = new uPlot({
        width: place.clientWidth, height: height(panel), series: looks, plugins: [touch()],
        // Panels have the same width and the same x axis, so that one can be read below the other.
        scales: { x: { time: false, distr: wide ? 3 : 1, range: wide ? (_, low, high) => [low, high] : undefined }, y: log ? { distr: 3, range: (_, low, high) => [low * 0.95, high * 1.05] } : {} },
        axes: [axis({ size: 34 }), axis({ size: 64 })],
        cursor: { sync: { key: "rcaffe" }, drag: { x: true, y: false }, focus: { prox: 24 } },
        focus: { alpha: 0.35 },
        hooks: { setScale: [zoomed] },
      }, tables.length > 1 ? uPlot.join(tables) : tables[0], place);
      charts.push(chart);
    });
    charts.forEach((chart, index) => (seen[index] || []).forEach((show, series) => {
      if (series && chart.series[series] && show === false) chart.setSeries(series, { show: false });
    }));
    if (state.zoom) zoom(state.zoom); else wholeRange();
  }

  // The first and the last x of all panels.
  function ends() {
    const xs = charts.map(chart => chart.data[0]).filter(x => x.length);
    return [Math.min(...xs.map(x => x[0])), Math.max(...xs.map(x => x[x.length - 1]))];
  }

  const height = panel => Math.round((panel.low ? 0.5 : 1) * (innerWidth < 600 ? 240 : 320));

  // One panel's zoom is that of all.
  let zooming = false;
  function zoomed(chart, scale) {
    if (scale !== "x" || zooming || !charts.includes(chart)) return;
    const { min, max } = chart.scales.x, [first, last] = ends();
    if (min == null) return;
    state.zoom = min <= first && max >= last ? null : [min, max];
    if (state.zoom) zoom(state.zoom); else wholeRange();
    keep();
  }
  function show(min, max, whole) {
    zooming = true;
    if (min < max) charts.forEach(chart => chart.setScale("x", { min, max }));
    // uPlot tells its hooks in a microtask.
    queueMicrotask(() => { zooming = false; });
    document.getElementById("reset").disabled = whole;
  }
  const zoom = ([min, max]) => show(min, max, false);
  const wholeRange = () => show(...ends(), true);
  function reset() {
    state.zoom = null;
    wholeRange();
    keep();
  }

  // One finger shows values, two zoom.
  function touch() {
    return { hooks: { ready: chart => {
      const over = chart.over, fingers = new Map();
      let held = null;
      over.style.touchAction = "pan-y";
      over.addEventListener("dblclick", reset);
      const left = event => event.clientX - over.getBoundingClientRect().left;
      over.addEventListener("pointerdown", event => {
        if (event.pointerType !== "touch") return;
        fingers.set(event.pointerId, left(event));
        held = fingers.size === 2 ? [...fingers.values()].map(x => chart.posToVal(x, "x")) : null;
      });
      over.addEventListener("pointermove", event => {
        if (!fingers.has(event.pointerId)) return;
        fingers.set(event.pointerId, left(event));
        if (fingers.size === 1) chart.setCursor({ left: left(event), top: event.clientY - over.getBoundingClientRect().top });
        const [one, two] = [...fingers.values()];
        if (held && Math.abs(two - one) > 10) {
          const step = (held[1] - held[0]) / (two - one), min = held[0] - one * step;
          if (step > 0) chart.setScale("x", { min, max: min + over.clientWidth * step });
        }
      });
      for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
        over.addEventListener(end, event => { fingers.delete(event.pointerId); held = null; });
      }
    } } };
  }

  function choose(mode) {
    state.x = mode;
    state.zoom = null;
    for (const button of document.querySelectorAll("#over button")) button.setAttribute("aria-pressed", button.value === mode);
    draw();
    keep();
  }

  const over = document.getElementById("over");
  for (const mode of data.x) {
    const button = document.createElement("button");
    button.value = mode;
    button.textContent = UNITS[mode];
    button.addEventListener("click", () => choose(mode));
    over.append(button);
  }
  const slider = document.getElementById("smooth"), shown = document.getElementById("smoothed"), log = document.getElementById("log");
  slider.value = state.smooth;
  shown.textContent = state.smooth;
  slider.addEventListener("input", () => { state.smooth = +slider.value; shown.textContent = state.smooth; draw(); keep(); });
  log.checked = state.log;
  log.addEventListener("change", () => { state.log = log.checked; draw(); keep(); });
  document.getElementById("reset").addEventListener("click", reset);
  document.getElementById("controls").hidden = false;

  const held = state.zoom;
  choose(data.x.includes(state.x) ? state.x : data.x[0]);
  if (held) { state.zoom = held; zoom(held); keep(); }

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    charts.forEach(chart => chart.setSize({ width: chart.root.parentElement.clientWidth, height: chart.height }));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  const differing = document.getElementById("differing");
  if (differing) differing.addEventListener("change", () => document.getElementById("configs").classList.toggle("same-hidden", differing.checked));

  if (data.live) setInterval(() => { if (!document.hidden && !document.querySelector(":active")) location.reload(); }, 5000);
})();
