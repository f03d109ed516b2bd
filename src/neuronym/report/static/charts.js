// Charts drawn by uPlot on a canvas, in the colours of the page, each with a text alternative.
"use strict";

// biome-ignore lint/correctness/noUnusedVariables: the other scripts use it
const charts = (() => {
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }
  let drawn = [];

  function axis(label, extra) {
    return Object.assign(
      {
        label: label,
        labelSize: 18,
        labelFont: "12px system-ui",
        font: "11px system-ui",
        size: 34,
        stroke: colour("text"),
        grid: { stroke: colour("line"), width: 0.5 },
        ticks: { stroke: colour("line"), width: 0.5 },
      },
      extra || {},
    );
  }

  // Draw series [{label, y, colour, fill, dash, points, bars, width}] over one x.
  function plot(place, caption, alternative, x, series, options) {
    const box = h("div", { role: "img", "aria-label": alternative });
    const key =
      series.length > 1
        ? h(
            "ul",
            { class: "key", "aria-hidden": "true" },
            series.map((one) =>
              h(
                "li",
                {},
                h("span", {
                  class: "swatch",
                  style: `background:${colour(one.colour)}${one.dash ? ";opacity:.55" : ""}`,
                }),
                one.label,
              ),
            ),
          )
        : null;
    place.append(
      h(
        "figure",
        {},
        h("figcaption", {}, caption),
        box,
        key,
        options.note ? h("p", { class: "quiet small" }, options.note) : null,
      ),
    );
    function make() {
      const width = Math.max(220, box.clientWidth || 320);
      const made = new uPlot(
        {
          width: width,
          height: options.height || 210,
          legend: { show: false },
          cursor: { show: false },
          select: { show: false },
          padding: [10, 12, 0, 0],
          scales: { x: { time: false, range: options.xrange || undefined }, y: { range: options.yrange || undefined } },
          axes: [axis(options.x, options.xaxis), axis(options.y, { size: 46 })],
          series: [{}].concat(
            series.map((one) => ({
              stroke: colour(one.colour),
              width: one.width === undefined ? 2 : one.width,
              dash: one.dash,
              points: one.points || { show: false },
              fill: one.fill ? `${colour(one.colour)}55` : undefined,
              paths: one.bars
                ? uPlot.paths.bars({ size: [0.92, 60], align: one.align || 0 })
                : one.steps
                  ? uPlot.paths.stepped({ align: 1 })
                  : one.alone
                    ? () => null
                    : undefined,
            })),
          ),
          hooks: options.hooks,
        },
        [x].concat(series.map((one) => one.y)),
        box,
      );
      return made;
    }
    const entry = { box: box, make: make, chart: null };
    drawn.push(entry);
    requestAnimationFrame(() => {
      if (box.isConnected) entry.chart = make();
    });
  }

  function redraw() {
    drawn = drawn.filter((entry) => entry.box.isConnected);
    drawn.forEach((entry) => {
      if (entry.chart) entry.chart.destroy();
      entry.chart = entry.make();
    });
  }
  let waiting = null;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  return { plot: plot, colour: colour };
})();
