// Charts drawn by Observable Plot as SVG, in the colours of the page, each with a text alternative and downloads.
"use strict";

// biome-ignore lint/correctness/noUnusedVariables: the other scripts use it
const charts = (() => {
  const LIBRARIES = ["assets/vendor/d3.min.js", "assets/vendor/plot.min.js"];
  let library = null,
    drawn = [];
  // Loaded when a chart is first wanted: the page is there before.
  function loaded() {
    library ??= LIBRARIES.reduce((before, path) => before.then(() => neuronym.script(path)), Promise.resolve());
    return library;
  }

  const INSIDE = "var(--in)",
    OUTSIDE = "var(--out)";
  // A sample of what a chart draws: a bar, a line (dashed, with a dot or an end, upright), a dot, a ring.
  function swatch(entry) {
    const place = "http://www.w3.org/2000/svg",
      svg = document.createElementNS(place, "svg");
    svg.setAttribute("width", 26);
    svg.setAttribute("height", 12);
    svg.setAttribute("aria-hidden", "true");
    const draw = (tag, attributes) => {
      const element = document.createElementNS(place, tag);
      Object.entries({ stroke: entry.colour, ...attributes }).forEach(([name, value]) => {
        element.setAttribute(name, value);
      });
      svg.append(element);
    };
    if (entry.mark === "bar")
      draw("rect", { x: 4, y: 1, width: 18, height: 10, fill: entry.colour, "fill-opacity": 0.55 });
    if (entry.mark === "line" || entry.mark === "dashed")
      draw("line", { x1: 1, y1: 6, x2: 25, y2: 6, "stroke-width": 2, "stroke-dasharray": entry.dash || "none" });
    if (entry.mark === "rule")
      draw("line", { x1: 13, y1: 0, x2: 13, y2: 12, "stroke-width": 2, "stroke-dasharray": entry.dash || "none" });
    if (entry.end === "arrow") draw("path", { d: "M25 6l-8 -5v10z", fill: entry.colour, stroke: "none" });
    if (entry.end === "bar") draw("line", { x1: 25, y1: 1, x2: 25, y2: 11, "stroke-width": 2.5 });
    if (entry.dot || entry.mark === "dot")
      draw("circle", { cx: 13, cy: 6, r: 3.5, fill: entry.hollow ? "var(--back)" : entry.colour, "stroke-width": 2 });
    return svg;
  }
  function key(legend) {
    return h(
      "ul",
      { class: "key" },
      legend.map((entry) => h("li", {}, swatch(entry), entry.label)),
    );
  }

  // Whole numbers for an axis of counts.
  function whole(most, n) {
    return d3.ticks(0, Math.max(1, most), n || 4).filter(Number.isInteger);
  }

  // A chart: {title, word, about, legend, note, height, name, rows, options}; options takes a width, and returns what
  // Plot.plot takes; rows are what the CSV holds, as arrays, the titles first.
  function draw(place, chart) {
    const box = h("div", { class: "chart", role: "img", "aria-label": chart.about, "data-title": chart.title });
    const figure = h(
      "figure",
      {},
      h("figcaption", {}, chart.word ? ui.word(chart.word, chart.title) : chart.title, saving(chart, box)),
      box,
      chart.legend ? key(chart.legend) : null,
      chart.note ? h("p", { class: "quiet small" }, chart.note) : null,
    );
    place.append(figure);
    const entry = { box: box, width: 0, make: make };
    function make() {
      const width = Math.max(220, Math.floor(box.clientWidth));
      if (!box.isConnected || width === entry.width) return;
      entry.width = width;
      const options = chart.options(width);
      const svg = Plot.plot({
        width: width,
        height: chart.height || 220,
        marginLeft: 48,
        marginRight: 14,
        marginTop: 26,
        marginBottom: 38,
        ...options,
        style: {
          background: "none",
          color: "var(--text)",
          fontFamily: "inherit",
          fontSize: "12px",
          overflow: "visible",
        },
      });
      // The box has the name of the chart; names of its parts, of no role, would be read as errors.
      svg.querySelectorAll("[aria-label]").forEach((part) => {
        part.classList.add(part.getAttribute("aria-label").replace(/ /g, "-"));
        part.removeAttribute("aria-label");
      });
      box.replaceChildren(svg);
    }
    drawn = drawn.filter((one) => one.box.isConnected || one === entry);
    drawn.push(entry);
    box.style.minHeight = `${chart.height || 220}px`;
    loaded().then(make);
    return figure;
  }
  new ResizeObserver(() => {
    drawn = drawn.filter((one) => one.box.isConnected);
    if (window.Plot)
      drawn.forEach((one) => {
        one.make();
      });
  }).observe(document.documentElement);

  // ---- downloads
  // A menu to save {title, name, rows} as the picture in a box, or in one that a function makes to be saved.
  function saving(chart, box) {
    const name = (chart.name || chart.title).replace(/[^\p{L}\p{N}]+/gu, "_").slice(0, 60);
    const kinds = [
      ["SVG", () => from(box, (made) => ui.download(`${name}.svg`, drawing(made).text, "image/svg+xml"))],
      ["PNG", () => from(box, (made) => picture(made, `${name}.png`))],
    ];
    if (chart.rows) kinds.push(["CSV", () => ui.download(`${name}.csv`, ui.csv(chart.rows()), "text/csv")]);
    return ui.menu(
      "Save",
      `Save the chart ${chart.title}`,
      kinds.map(([kind, act]) => h("button", { type: "button", onclick: act }, kind)),
    );
  }
  function from(box, act) {
    if (box instanceof Node) return act(box);
    const made = box();
    document.body.append(made); // colours and sizes are known only in the page
    act(made);
    made.remove();
  }
  // A copy of an SVG that needs no style sheet: colours as they are now, without variables.
  function plain(svg) {
    const copy = svg.cloneNode(true),
      originals = [svg, ...svg.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((element, k) => {
      const now = getComputedStyle(originals[k]);
      ["fill", "stroke", "color"].forEach((name) => {
        if ((element.getAttribute(name) || element.style[name] || "").match(/var\(|currentColor/i)) {
          element.style.removeProperty(name); // which would win, and knows no variables in a file
          element.setAttribute(name, now[name]);
        }
      });
    });
    copy.style.color = getComputedStyle(svg).color;
    return copy;
  }
  // The SVG of a chart as a file of its own, with its title and legend, for a white page: {text, width, height}.
  function drawing(box) {
    const root = document.documentElement,
      theme = root.dataset.theme;
    root.dataset.theme = "light";
    const svg = box.querySelector("svg"),
      figure = box.closest("figure"),
      title = box.dataset.title || "",
      items = figure ? [...figure.querySelectorAll(".key li")] : [],
      width = svg.clientWidth,
      top = title ? 26 : 0,
      now = getComputedStyle(svg);
    const made = (tag, attributes, ...children) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([name, value]) => {
        element.setAttribute(name, value);
      });
      element.append(...children);
      return element;
    };
    const chart = plain(svg);
    chart.setAttribute("y", top);
    chart.setAttribute("width", width);
    chart.setAttribute("height", svg.clientHeight);
    const parts = [chart];
    let x = 4,
      y = top + svg.clientHeight + 18;
    items.forEach((item) => {
      const mark = plain(item.querySelector("svg")),
        wide = 36 + 7 * item.textContent.length;
      if (x > 4 && x + wide > width) [x, y] = [4, y + 18];
      mark.setAttribute("x", x);
      mark.setAttribute("y", y - 10);
      parts.push(mark, made("text", { x: x + 32, y: y, "font-size": 12, fill: now.color }, item.textContent));
      x += wide + 12;
    });
    const height = items.length ? y + 10 : top + svg.clientHeight;
    if (title)
      parts.unshift(made("text", { x: 4, y: 16, "font-size": 14, "font-weight": "bold", fill: now.color }, title));
    const ground = made("rect", {
      width: "100%",
      height: "100%",
      fill: getComputedStyle(document.body).backgroundColor,
    });
    const whole = made("svg", { width: width, height: height, viewBox: `0 0 ${width} ${height}` }, ground, ...parts);
    whole.style.fontFamily = now.fontFamily;
    if (theme === undefined) delete root.dataset.theme;
    else root.dataset.theme = theme;
    return { text: new XMLSerializer().serializeToString(whole), width: width, height: height };
  }
  function picture(box, name) {
    const { text, width, height } = drawing(box),
      image = new Image(),
      scale = 2;
    image.onload = () => {
      const canvas = h("canvas", { width: scale * width, height: scale * height });
      const context = canvas.getContext("2d");
      context.scale(scale, scale);
      context.drawImage(image, 0, 0, width, height);
      canvas.toBlob((blob) => ui.offer(name, blob));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  // ---- kinds of charts
  // A histogram of counts in equal bins; series: [{label, counts, colour}] over low..high.
  function histogram(place, chart) {
    const n = chart.series[0].counts.length,
      step = (chart.high - chart.low) / n,
      share = chart.share; // of each series' total, if series differ in size
    const bars = chart.series.flatMap((one) =>
      one.counts.map((count, b) => ({
        x1: chart.low + b * step,
        x2: chart.low + (b + 1) * step,
        y: share ? count / Math.max(1, one.total) : count,
        count: count,
        label: one.label,
        colour: one.colour,
      })),
    );
    const digits = (v) => ui.short(v);
    draw(place, {
      legend: chart.series.length > 1 ? chart.series.map((one) => ({ ...one, mark: "bar" })) : null,
      rows: () => [["side", "from", "to", "count"], ...bars.map((bar) => [bar.label, bar.x1, bar.x2, bar.count])],
      ...chart,
      options: () => ({
        x: { label: chart.x, domain: [chart.low, chart.high], labelAnchor: "center", labelArrow: false },
        y: {
          label: chart.y,
          labelArrow: false,
          tickFormat: share ? (v) => `${Math.round(1000 * v) / 10}%` : "d",
          ticks: share ? 4 : whole(Math.max(...bars.map((bar) => bar.y))),
          grid: true,
        },
        marks: [
          ...chart.series.map((one) =>
            Plot.rect(
              bars.filter((bar) => bar.label === one.label && bar.y > 0),
              {
                x1: "x1",
                x2: "x2",
                y1: 0,
                y2: "y",
                fill: one.colour,
                fillOpacity: 0.55,
                stroke: one.colour,
                inset: 0.5,
              },
            ),
          ),
          Plot.ruleY([0]),
          ...(chart.marks ? chart.marks() : []),
          Plot.tip(
            chart.series[0].counts.map((_, b) => b),
            Plot.pointerX({
              x: (b) => chart.low + (b + 0.5) * step,
              y: (b) =>
                Math.max(
                  ...chart.series.map((one) => (share ? one.counts[b] / Math.max(1, one.total) : one.counts[b])),
                ),
              title: (b) =>
                [
                  `${chart.x} ${digits(chart.low + b * step)} to ${digits(chart.low + (b + 1) * step)}`,
                  ...chart.series.map((one) =>
                    share
                      ? `${one.label}: ${one.counts[b]} (${neuronym.percent(one.counts[b] / Math.max(1, one.total))})`
                      : `${one.label}: ${one.counts[b]}`,
                  ),
                ].join("\n"),
              fill: "var(--raised)",
              stroke: "var(--line)",
            }),
          ),
        ],
      }),
    });
  }

  // An axis of AUCs from the lowest of some lists to 1, in equal bins of at most 1/20.
  function aucs(lists) {
    let least = 1;
    lists.forEach((values) => {
      (values || []).forEach((a) => {
        if (a !== null && a < least) least = a;
      });
    });
    const low = Math.min(0.9, Math.floor(least * 20) / 20),
      bins = Math.round((1 - low) * 20) * (low < 0.7 ? 2 : low < 0.85 ? 4 : 10);
    return {
      low: low,
      counts: (values) => {
        const found = new Array(bins).fill(0);
        values.forEach((a) => {
          if (a !== null) found[Math.min(bins - 1, Math.floor(((a - low) / (1 - low)) * bins + 1e-9))]++;
        });
        return found;
      },
    };
  }
  function tip(data, options) {
    return Plot.tip(data, Plot.pointer({ fill: "var(--raised)", stroke: "var(--line)", ...options }));
  }

  return {
    draw: draw,
    histogram: histogram,
    aucs: aucs,
    whole: whole,
    tip: tip,
    key: key,
    saving: saving,
    INSIDE: INSIDE,
    OUTSIDE: OUTSIDE,
  };
})();
