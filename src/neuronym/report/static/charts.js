// Charts: uPlot on canvas, each with a text alternative, in the colours of the page.
"use strict";
var charts = (function () {
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }
  var drawn = [];

  function axis(label, extra) {
    return Object.assign({ label: label, labelSize: 18, labelFont: "12px system-ui", font: "11px system-ui", size: 34,
      stroke: colour("text"), grid: { stroke: colour("line"), width: 0.5 }, ticks: { stroke: colour("line"), width: 0.5 } }, extra || {});
  }

  // series: [{label, y, colour, fill, dash, points, bars, width}], drawn over one x.
  function plot(place, caption, alternative, x, series, options) {
    var box = h("div", { role: "img", "aria-label": alternative });
    var key = series.length > 1 ? h("ul", { class: "key", "aria-hidden": "true" }, series.map(function (one) {
      return h("li", {}, h("span", { class: "swatch", style: "background:" + colour(one.colour) + (one.dash ? ";opacity:.55" : "") }), one.label);
    })) : null;
    place.append(h("figure", {}, h("figcaption", {}, caption), box, key, options.note ? h("p", { class: "quiet small" }, options.note) : null));
    function make() {
      var width = Math.max(220, box.clientWidth || 320);
      var made = new uPlot({
        width: width, height: options.height || 210, legend: { show: false }, cursor: { show: false }, select: { show: false },
        padding: [10, 12, 0, 0],
        scales: { x: { time: false, range: options.xrange || undefined }, y: { range: options.yrange || undefined } },
        axes: [axis(options.x, options.xaxis), axis(options.y, { size: 46 })],
        series: [{}].concat(series.map(function (one) {
          return {
            stroke: colour(one.colour), width: one.width === undefined ? 2 : one.width, dash: one.dash, points: one.points || { show: false },
            fill: one.fill ? colour(one.colour) + "55" : undefined,
            paths: one.bars ? uPlot.paths.bars({ size: [0.92, 60], align: one.align || 0 }) : one.steps ? uPlot.paths.stepped({ align: 1 }) : one.alone ? function () { return null; } : undefined,
          };
        })),
        hooks: options.hooks,
      }, [x].concat(series.map(function (one) { return one.y; })), box);
      return made;
    }
    var entry = { box: box, make: make, chart: null };
    drawn.push(entry);
    requestAnimationFrame(function () { if (box.isConnected) entry.chart = make(); });
  }

  function again() {
    drawn = drawn.filter(function (entry) { return entry.box.isConnected; });
    drawn.forEach(function (entry) {
      if (entry.chart) entry.chart.destroy();
      entry.chart = entry.make();
    });
  }
  var waiting = null;
  window.addEventListener("resize", function () { clearTimeout(waiting); waiting = setTimeout(again, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

  return { plot: plot, colour: colour };
})();
