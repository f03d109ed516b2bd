// Circuits: how a neuron is computed from the neurons of lower layers, and what comparisons and ablations say of it.
"use strict";
(() => {
  const N = neuronym,
    SVG = "http://www.w3.org/2000/svg",
    ADDS = "var(--in)",
    LOWERS = "var(--edge)",
    DASH = "7 4",
    HEAD = 9, // how far before a node a line ends, where its arrow or bar begins
    MOST_PICTURED = 24; // nodes of a layer: more would make the drawing too long

  views.circuits = (path) => {
    N.open(["circuits"], (listed) => {
      const k = Math.max(0, Math.min(Number(path[0] || 0) || 0, listed.length - 1)),
        circuit = listed[k],
        target = circuit.nodes[circuit.target],
        place = h("div", {});
      N.show(
        "Circuits",
        [
          listed.length > 1
            ? h(
                "p",
                { class: "pager" },
                listed.map((one, j) =>
                  h("a", { href: `#/circuits/${j}`, "aria-current": j === k ? "true" : null }, titled(one)),
                ),
              )
            : null,
          h("h1", {}, "Circuit of ", h("bdi", {}, title(target))),
          h(
            "p",
            { class: "quiet" },
            `Which neurons of lower layers the activation of ${title(target)} comes from: the ones that `,
            ui.word("contribution", "contribute"),
            ` most, on average over ${N.counted(circuit.n_samples, "sample")}.`,
          ),
          place,
          h(
            "div",
            { class: "columns" },
            h("section", {}, ranking(circuit)),
            circuit.ablations.length || circuit.comparisons.length
              ? h("section", {}, circuit.ablations.map(ablation(target)), circuit.comparisons.map(comparison))
              : null,
          ),
        ],
        "circuits",
      );
      N.script("assets/vendor/dagre.min.js").then(
        () => {
          if (place.isConnected) graph(place, circuit);
        },
        () => place.replaceChildren("A file of this report is missing: dagre.min.js"),
      );
    });
  };

  // ---- names and formulas of nodes
  function title(node) {
    return `${node.layer} ${node.neuron}${node.name ? ` ${node.name}` : ""}`;
  }
  function titled(circuit) {
    return h("bdi", {}, title(circuit.nodes[circuit.target]));
  }
  function linked(node) {
    const i = N.find(node.layer, node.neuron),
      text = h("bdi", {}, title(node));
    return i === undefined ? text : h("a", { href: N.link(i) }, text);
  }
  function spelled(node) {
    return node.tree ? formulas.spelled(node.tree, 0) : node.formula || "";
  }
  function formula(node, options) {
    return node.tree ? formulas.nodes(node.tree, options) : h("bdi", {}, node.formula || "");
  }
  function withSign(node) {
    const i = N.find(node.layer, node.neuron);
    return h("span", { class: "with-sign" }, i === undefined ? null : ui.sign(i), formula(node, { links: true }));
  }
  function plus(v) {
    return `${v > 0 ? "+" : ""}${ui.short(v)}`;
  }
  // A bar from the middle: to the right for a positive number, to the left and hatched for a negative one.
  function signed(v, most) {
    const width = most ? (50 * Math.abs(v)) / most : 0;
    return [
      h(
        "span",
        { class: "signed", "aria-hidden": "true" },
        h("span", { class: v > 0 ? "plus" : "minus", style: `width:${width}%` }),
      ),
      h("span", { class: "value" }, plus(v)),
    ];
  }

  // ---- the drawing
  // Places of nodes of these sizes and the paths of edges, by dagre: from left to right, with the target on the right.
  function beside(circuit, sizes) {
    const g = ordered(circuit, sizes, {
        rankdir: "LR",
        nodesep: 12,
        edgesep: 10,
        ranksep: 110,
        marginx: 10,
        marginy: 12,
      }),
      at = circuit.nodes.map((_, k) => g.node(String(k))),
      points = circuit.edges.map((edge) => g.edge(String(edge[0]), String(edge[1])).points),
      shifts = spaced(circuit, at, "y", "height");
    const paths = circuit.edges.map(([from, to], e) => {
      if (from === to) return `M${points[e].map((p) => `${p.x} ${p.y}`).join("L")}`;
      const start = { x: at[from].x + at[from].width / 2, y: at[from].y },
        end = { x: at[to].x - at[to].width / 2 - HEAD, y: at[to].y + shifts[e] },
        half = (start.x + end.x) / 2;
      return `M${start.x} ${start.y}C${half} ${start.y} ${half} ${end.y} ${end.x} ${end.y}`;
    });
    return { at: at, paths: paths, width: g.graph().width, height: g.graph().height };
  }
  function ordered(circuit, sizes, options) {
    const g = new dagre.graphlib.Graph();
    g.setGraph(options);
    sizes.forEach((size, k) => {
      g.setNode(String(k), { width: size[0], height: size[1] });
    });
    circuit.edges.forEach((edge) => {
      const levels = circuit.nodes[edge[0]].level - circuit.nodes[edge[1]].level;
      g.setEdge(String(edge[0]), String(edge[1]), { minlen: Math.max(1, levels), labelpos: "c" });
    });
    dagre.layout(g);
    return g;
  }
  // How far from the middle of a node each edge arrives: side by side, in the order of where they come from.
  function spaced(circuit, at, along, side) {
    const shifts = circuit.edges.map(() => 0);
    circuit.nodes.forEach((_, k) => {
      const arriving = circuit.edges.map((edge, e) => (edge[1] === k ? e : -1)).filter((e) => e >= 0);
      arriving.sort((a, b) => at[circuit.edges[a][0]][along] - at[circuit.edges[b][0]][along]);
      const step = Math.min(14, (at[k][side] - 18) / Math.max(1, arriving.length - 1));
      arriving.forEach((e, n) => {
        shifts[e] = (n - (arriving.length - 1) / 2) * step;
      });
    });
    return shifts;
  }
  // The same from top to bottom for narrow screens: dagre orders the nodes of each layer, which stand in two columns.
  // Between these, all edges to the same neuron share a lane, so that no line runs below a card.
  function stacked(circuit, sizes, gutter) {
    const g = ordered(circuit, sizes, { rankdir: "BT" }),
      width = 2 * Math.max(...sizes.map((size) => size[0])) + gutter + 20,
      middle = width / 2,
      at = [],
      alone = [],
      levels = [...new Set(circuit.nodes.map((node) => node.level))].sort((a, b) => a - b);
    let y = 12;
    levels.forEach((level) => {
      const own = circuit.nodes.map((_, k) => k).filter((k) => circuit.nodes[k].level === level);
      own.sort((a, b) => g.node(String(a)).x - g.node(String(b)).x);
      for (let n = 0; n < own.length; n += 2) {
        const row = own.slice(n, n + 2),
          high = Math.max(...row.map((k) => sizes[k][1]));
        row.forEach((k, column) => {
          alone[k] = own.length === 1;
          const side = column ? 1 : -1;
          at[k] = {
            x: alone[k] ? middle : middle + (side * (gutter + sizes[k][0])) / 2,
            y: y + sizes[k][1] / 2,
            width: sizes[k][0],
            height: sizes[k][1],
            side: side,
          };
        });
        y += high + 12;
      }
      y += 30;
    });
    const down = spaced(circuit, at, "y", "height"),
      across = spaced(circuit, at, "x", "width"),
      lanes = {};
    levels.forEach((level) => {
      const own = circuit.nodes
        .map((_, k) => k)
        .filter((k) => circuit.nodes[k].level === level && circuit.edges.some((edge) => edge[1] === k));
      const step = Math.min(9, (gutter - 16) / Math.max(1, own.length - 1));
      own.forEach((k, n) => {
        lanes[k] = middle + (n - (own.length - 1) / 2) * step;
      });
    });
    const paths = circuit.edges.map(([from, to], e) => {
      const lane = lanes[to],
        a = at[from],
        b = at[to];
      const start = alone[from]
        ? [
            { x: a.x, y: a.y - a.height / 2 },
            { x: a.x, y: a.y - a.height / 2 - 10 },
            { x: lane, y: a.y - a.height / 2 - 10 },
          ]
        : [
            { x: a.x - (a.side * a.width) / 2, y: a.y },
            { x: lane, y: a.y },
          ];
      const end = alone[to]
        ? [
            { x: lane, y: b.y + b.height / 2 + 22 },
            { x: b.x + across[e], y: b.y + b.height / 2 + 22 },
            { x: b.x + across[e], y: b.y + b.height / 2 + HEAD },
          ]
        : [
            { x: lane, y: b.y + down[e] },
            { x: b.x - b.side * (b.width / 2 + HEAD), y: b.y + down[e] },
          ];
      return rounded([...start, ...end], 7);
    });
    return { at: at, paths: paths, width: width, height: y - 30 };
  }
  // A path along straight lines, with rounded corners.
  function rounded(points, radius) {
    const known = points.filter((p, n) => !n || p.x !== points[n - 1].x || p.y !== points[n - 1].y);
    let path = `M${known[0].x} ${known[0].y}`;
    known.slice(1, -1).forEach((p, n) => {
      const towards = (q) => {
        const far = Math.hypot(q.x - p.x, q.y - p.y),
          part = Math.min(radius, far / 2) / far;
        return `${p.x + (q.x - p.x) * part} ${p.y + (q.y - p.y) * part}`;
      };
      path += `L${towards(known[n])}Q${p.x} ${p.y} ${towards(known[n + 2])}`;
    });
    return `${path}L${known.at(-1).x} ${known.at(-1).y}`;
  }
  function element(tag, attributes, ...children) {
    const made = document.createElementNS(SVG, tag);
    Object.keys(attributes).forEach((name) => {
      if (attributes[name] !== null) made.setAttribute(name, attributes[name]);
    });
    made.append(...children);
    return made;
  }
  function ends(name) {
    const marker = (kind, colour, shape) =>
      element(
        "marker",
        {
          id: `${name}-${kind}`,
          viewBox: "0 0 10 10",
          refX: 1,
          refY: 5,
          markerWidth: 11,
          markerHeight: 11,
          markerUnits: "userSpaceOnUse",
          orient: "auto",
        },
        element("path", { d: shape, fill: colour }),
      );
    return element(
      "defs",
      {},
      marker("adds", ADDS, "M0 0L10 5L0 10z"),
      marker("lowers", LOWERS, "M0 4.2h7V0h3v10h-3V5.8H0z"),
    );
  }
  function about(circuit, edge) {
    const [from, to, value, share] = edge;
    return [
      `${title(circuit.nodes[from])} → ${title(circuit.nodes[to])}`,
      `${value > 0 ? "adds" : "lowers it by"} ${ui.short(Math.abs(value))}, ` +
        `${N.percent(share)} of all contributions to it`,
    ];
  }
  // The edges as SVG; the widest has the largest share.
  function edges(circuit, placed, name, thickest) {
    const widest = Math.max(...circuit.edges.map((edge) => edge[3] || 0)) || 1;
    const svg = element(
      "svg",
      {
        width: Math.ceil(placed.width),
        height: Math.ceil(placed.height),
        viewBox: `0 0 ${Math.ceil(placed.width)} ${Math.ceil(placed.height)}`,
      },
      ends(name),
    );
    circuit.edges
      .map((edge, e) => [edge, e])
      .sort((a, b) => a[0][3] - b[0][3])
      .forEach(([edge, e]) => {
        const d = placed.paths[e],
          adds = edge[2] > 0;
        svg.append(
          element(
            "g",
            { class: "edge", role: "img", "data-edge": e, "aria-label": about(circuit, edge).join(": ") },
            element("path", { class: "hit", d: d, fill: "none", stroke: "transparent" }),
            element("path", {
              class: "line",
              d: d,
              fill: "none",
              stroke: adds ? ADDS : LOWERS,
              "stroke-width": (1.2 + ((thickest - 1.2) * (edge[3] || 0)) / widest).toFixed(2),
              "stroke-dasharray": adds ? null : DASH,
              "marker-end": `url(#${name}-${adds ? "adds" : "lowers"})`,
            }),
          ),
        );
      });
    return svg;
  }
  function card(circuit, node, k, pictured) {
    const i = N.find(node.layer, node.neuron),
      text = spelled(node);
    return h(
      i === undefined ? "div" : "a",
      {
        class: `node${k === circuit.target ? " target" : ""}`,
        href: i === undefined ? null : N.link(i),
        "data-node": k,
      },
      h(
        "span",
        { class: "who" },
        i === undefined ? null : ui.sign(i),
        node.auc === null ? null : h("span", { class: "number" }, N.numberText("auc", node.auc)),
        h("bdi", { class: "quiet" }, `${node.layer} ${node.neuron}`),
      ),
      node.name ? h("bdi", { class: "named" }, node.name) : null,
      text
        ? h("span", { class: "what", title: text }, formula(node, { words: true }))
        : h("span", { class: "quiet" }, "no formula"),
      pictured && i !== undefined && N.data.samples && N.data.columns.auc[i] !== null ? ui.tops(i, 3) : null,
    );
  }
  function graph(place, circuit) {
    const perLevel = {};
    circuit.nodes.forEach((node) => {
      perLevel[node.level] = (perLevel[node.level] || 0) + 1;
    });
    const levels = Object.keys(perLevel).length,
      most = Math.max(...Object.values(perLevel)),
      cards = circuit.nodes.map((node, k) => card(circuit, node, k, most <= MOST_PICTURED)),
      inner = h("div", { class: "graph" }, cards),
      box = h(
        "div",
        {
          class: "scroll circuit",
          role: "group",
          "aria-label":
            `Drawing of the circuit: ${N.counted(circuit.nodes.length, "neuron")} in ${N.counted(levels, "layer")}, ` +
            `${N.counted(circuit.edges.length, "contribution")}, which the table below lists. ` +
            "Arrow keys go from one contribution to the next.",
        },
        inner,
      ),
      rows = () => [
        ["from_layer", "from_neuron", "formula", "auc", "to_layer", "to_neuron", "contribution", "share"],
        ...ranked(circuit).map(([a, b, value, share]) => {
          const from = circuit.nodes[a],
            to = circuit.nodes[b];
          return [from.layer, from.neuron, spelled(from), from.auc, to.layer, to.neuron, value, share];
        }),
      ];
    place.replaceChildren(
      h(
        "figure",
        {},
        h(
          "figcaption",
          {},
          "From lower layers to the target",
          charts.saving({ title: `circuit of ${title(circuit.nodes[circuit.target])}`, rows: rows }, () =>
            sheet(circuit),
          ),
        ),
        box,
        charts.key([
          { label: "adds to the neuron above", mark: "line", colour: ADDS, end: "arrow" },
          { label: "lowers the neuron above", mark: "dashed", dash: DASH, colour: LOWERS, end: "bar" },
        ]),
        h(
          "p",
          { class: "quiet small" },
          "Lines are as wide as their ",
          ui.word("share"),
          " of the contributions to the neuron that they lead to; point at one, or tap it, for its value.",
        ),
      ),
    );
    let known = 0;
    const fit = () => {
      const width = box.clientWidth;
      if (!width || width === known) return;
      known = width;
      const across = levels * 190 + (levels - 1) * 110 + 22,
        right = across <= width;
      const gutter = 52,
        size = right
          ? Math.min(310, Math.floor((width - 22 - (levels - 1) * 110) / levels))
          : Math.max(120, Math.min(300, Math.floor((width - gutter - 20) / 2)));
      cards.forEach((one) => {
        one.style.width = `${size}px`;
        one.classList.toggle("wide", right && size >= 250);
      });
      const sizes = cards.map((one) => [one.offsetWidth, one.offsetHeight]),
        placed = right ? beside(circuit, sizes) : stacked(circuit, sizes, gutter);
      const svg = edges(circuit, placed, "end", right ? 6 : 4);
      inner.querySelector(":scope > svg")?.remove();
      inner.prepend(svg);
      inner.style.width = `${Math.ceil(placed.width)}px`;
      inner.style.height = `${Math.ceil(placed.height)}px`;
      cards.forEach((one, k) => {
        one.style.left = `${placed.at[k].x - sizes[k][0] / 2}px`;
        one.style.top = `${placed.at[k].y - sizes[k][1] / 2}px`;
      });
      svg.querySelector(".edge")?.setAttribute("tabindex", 0);
      svg.querySelectorAll(".edge:not([tabindex])").forEach((one) => {
        one.setAttribute("tabindex", -1);
      });
    };
    watching(inner, circuit);
    fit();
    new ResizeObserver(fit).observe(box);
  }

  // ---- values on hover and focus
  const hint = h("div", { class: "hint", role: "tooltip", id: "hint-of-edge", hidden: true });
  document.body.append(hint);
  // An edge with the focus keeps its value while it scrolls, as it does into view.
  let again = null;
  window.addEventListener("scroll", () => (hint.hidden || !again ? hush() : again()), { passive: true });
  window.addEventListener("hashchange", hush);
  function hush() {
    hint.hidden = true;
    again = null;
  }
  function tell(circuit, e, x, y) {
    const [names, value] = about(circuit, circuit.edges[e]),
      from = circuit.nodes[circuit.edges[e][0]];
    hint.replaceChildren(h("strong", {}, names), h("p", {}, value), h("p", { class: "quiet" }, spelled(from)));
    hint.hidden = false;
    const below = y + 14 + hint.offsetHeight < innerHeight;
    hint.style.left = `${Math.max(8, Math.min(x + 10, innerWidth - hint.offsetWidth - 8))}px`;
    hint.style.top = `${below ? y + 14 : Math.max(8, y - 10 - hint.offsetHeight)}px`;
  }
  // Light what belongs to an edge or a node, and tell the value of an edge.
  function watching(inner, circuit) {
    const light = (chosen) => {
      inner.classList.toggle("lit", chosen !== null);
      inner.querySelectorAll(".on").forEach((one) => {
        one.classList.remove("on");
      });
      (chosen || []).forEach((e) => {
        inner.querySelector(`[data-edge="${e}"]`).classList.add("on");
        circuit.edges[e].slice(0, 2).forEach((k) => {
          inner.querySelector(`[data-node="${k}"]`).classList.add("on");
        });
      });
    };
    const touching = (k) => circuit.edges.map((_, e) => e).filter((e) => circuit.edges[e].slice(0, 2).includes(k));
    const enter = (event) => {
      const edge = event.target.closest("[data-edge]"),
        node = event.target.closest("[data-node]");
      if (node) {
        hush();
        light(touching(Number(node.dataset.node)));
      } else if (edge) {
        const e = Number(edge.dataset.edge);
        light([e]);
        if (event.type === "focusin") {
          const line = edge.querySelector(".line"),
            middle = line.getPointAtLength(line.getTotalLength() / 2);
          again = () => {
            const corner = line.ownerSVGElement.getBoundingClientRect();
            tell(circuit, e, corner.left + middle.x, corner.top + middle.y);
          };
          again();
        } else tell(circuit, e, event.clientX, event.clientY);
      } else if (event.type !== "focusin") leave();
    };
    const leave = () => {
      hush();
      light(null);
    };
    inner.addEventListener("pointerover", enter);
    inner.addEventListener("pointermove", (event) => {
      const edge = event.target.closest("[data-edge]");
      if (edge) tell(circuit, Number(edge.dataset.edge), event.clientX, event.clientY);
    });
    inner.addEventListener("pointerleave", leave);
    inner.addEventListener("focusin", enter);
    inner.addEventListener("focusout", leave);
    inner.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave();
      const edge = event.target.closest("[data-edge]"),
        step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!edge || !step) return;
      event.preventDefault();
      event.stopPropagation();
      const all = [...inner.querySelectorAll("[data-edge]")].sort((a, b) => a.dataset.edge - b.dataset.edge),
        next = all[(all.indexOf(edge) + step + all.length) % all.length];
      edge.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    });
  }

  // ---- the drawing as a file: texts instead of cards, without pictures of samples, which a file cannot hold
  const CARD = 250,
    LINE = 16;
  function wrapped(pen, text, most) {
    const lines = [""];
    for (const word of text.split(/(?<=\s)/)) {
      if (pen.measureText(lines.at(-1) + word).width <= most || lines.at(-1) === "") lines[lines.length - 1] += word;
      else lines.push(word);
    }
    const shown = lines.slice(0, 3).map((line) => {
      let cut = line.trimEnd();
      if (pen.measureText(cut).width <= most) return cut;
      while (cut && pen.measureText(`${cut}…`).width > most) cut = cut.slice(0, -1);
      return `${cut}…`;
    });
    if (lines.length > 3 && !shown[2].endsWith("…")) shown[2] = `${shown[2].slice(0, -1)}…`;
    return shown;
  }
  function sheet(circuit) {
    const pen = h("canvas", {}).getContext("2d");
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const texts = circuit.nodes.map((node) => [
      ...wrapped(pen, title(node), CARD - 80).slice(0, 2),
      ...(spelled(node) ? wrapped(pen, spelled(node), CARD - 20) : []),
    ]);
    const sizes = texts.map((lines) => [CARD, lines.length * LINE + 14]),
      placed = beside(circuit, sizes),
      svg = edges(circuit, placed, "saved", 6),
      heads = circuit.nodes.map((node) => wrapped(pen, title(node), CARD - 80).slice(0, 2).length);
    svg.setAttribute("font-size", 12);
    svg.querySelectorAll(".hit").forEach((one) => {
      one.remove();
    });
    circuit.nodes.forEach((node, k) => {
      const at = placed.at[k],
        left = at.x - CARD / 2,
        top = at.y - sizes[k][1] / 2;
      svg.append(
        element("rect", {
          x: left,
          y: top,
          width: CARD,
          height: sizes[k][1],
          rx: 7,
          fill: "var(--raised)",
          stroke: k === circuit.target ? "var(--text)" : "var(--line)",
        }),
        ...texts[k].map((line, n) =>
          element(
            "text",
            {
              x: left + 10,
              y: top + 18 + n * LINE,
              fill: n < heads[k] ? "var(--quiet)" : "var(--text)",
              style: n < heads[k] ? "fill:var(--quiet)" : null,
            },
            line,
          ),
        ),
      );
      if (node.auc !== null)
        svg.append(
          element(
            "text",
            { x: left + CARD - 10, y: top + 18, "text-anchor": "end", fill: "var(--text)" },
            N.numberText("auc", node.auc),
          ),
        );
    });
    const height = Math.ceil(placed.height) + 22;
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${Math.ceil(placed.width)} ${height}`);
    svg.append(
      element(
        "text",
        { x: 12, y: height - 10, fill: "var(--text)" },
        `Solid: adds; dashed: lowers; width: share of the contributions. Mean of ${circuit.n_samples} samples.`,
      ),
    );
    return h("div", { class: "unseen" }, svg);
  }

  // ---- contributions
  function ranked(circuit) {
    return circuit.edges
      .slice()
      .sort((a, b) => circuit.nodes[a[1]].level - circuit.nodes[b[1]].level || Math.abs(b[2]) - Math.abs(a[2]));
  }
  function ranking(circuit) {
    const largest = {};
    circuit.edges.forEach(([, to, value]) => {
      const level = circuit.nodes[to].level;
      largest[level] = Math.max(largest[level] || 0, Math.abs(value));
    });
    return [
      h("h2", {}, "Contributions"),
      ui.folded(ranked(circuit), 24, (listed) =>
        ui.table(
          [["from"], ["contribution", 1, "contribution"], ["share", 1, "share"], ["formula"], ["to"]],
          listed.map((edge) => {
            const from = circuit.nodes[edge[0]],
              to = circuit.nodes[edge[1]],
              i = N.find(from.layer, from.neuron);
            return Object.assign(
              [
                linked(from),
                h("span", {}, signed(edge[2], largest[to.level])),
                N.percent(edge[3]),
                withSign(from),
                linked(to),
              ],
              i === undefined ? {} : { to: N.link(i) },
            );
          }),
          "Contributions",
        ),
      ),
    ];
  }

  // ---- comparisons
  const COMPARED = {
    versus: ["Compared with a second target", "to the target (first) and to a second target (second)"],
    right_wrong: [
      "Right and wrong samples",
      "on the samples where the target is the highest of its layer (first) and on the others (second)",
    ],
  };
  function comparison(compared) {
    const [heading, otherwise] = COMPARED[compared.name],
      most = Math.max(...compared.rows.map((row) => Math.abs(row[3])));
    const rows = () => [
      ["layer", "neuron", "first", "second", "difference", "formula", "auc"],
      ...compared.rows.map(([neuron, first, second, difference, tree, formula, auc]) => [
        compared.layer,
        neuron,
        first,
        second,
        difference,
        spelled({ tree: tree, formula: formula }),
        auc,
      ]),
    ];
    return [
      h(
        "div",
        { class: "bar-of-tools" },
        h("h2", {}, heading),
        ui.menu("Save", `Save the comparison: ${heading}`, [
          h(
            "button",
            { type: "button", onclick: () => ui.download(`${compared.name}.csv`, ui.csv(rows()), "text/csv") },
            "CSV",
          ),
        ]),
      ),
      h(
        "p",
        {},
        `The ${compared.rows.length} of ${N.counted(compared.n, "neuron")} of ${compared.layer} whose `,
        ui.word("contributions compared", "contributions"),
        " differ most: ",
        h("bdi", {}, compared.heading || otherwise),
        ". Bars to the right: more for the first.",
      ),
      ui.folded(compared.rows, 12, (listed) =>
        ui.table(
          [["neuron"], ["difference", 1], ["formula"], ["first", 1], ["second", 1]],
          listed.map(([neuron, first, second, difference, tree, formula]) => {
            const node = { layer: compared.layer, neuron: neuron, tree: tree, formula: formula },
              i = N.find(node.layer, neuron);
            return Object.assign(
              [
                i === undefined ? h("bdi", {}, neuron) : h("a", { href: N.link(i) }, h("bdi", {}, neuron)),
                h("span", {}, signed(difference, most)),
                withSign(node),
                plus(first),
                plus(second),
              ],
              i === undefined ? {} : { to: N.link(i) },
            );
          }),
          heading,
        ),
      ),
    ];
  }

  // ---- ablations
  const ablation = (target) => (ablated) => {
    const n = ablated.neurons.reduce((sum, one) => sum + one[1].length, 0),
      layers = ablated.neurons.map((one) => one[0]).join(" and "),
      sets = ablated.changes_random.length,
      after = ablated.before + ablated.change,
      reached = ablated.changes_random.filter((one) => Math.abs(one) >= Math.abs(ablated.change)).length,
      place = h("div", {});
    const moved = ablated.change < 0 ? "falls" : ablated.change > 0 ? "rises" : "stays";
    const random = ablated.accuracy_random.reduce((sum, one) => sum + one, 0) / Math.max(1, sets);
    const judged = !sets
      ? "No random neurons were tried beside them, so it is open whether others would do as much."
      : `${reached === 0 ? "None" : reached} of ${N.counted(sets, "set")} of as many random neurons ` +
        `${reached === 1 ? "changes" : "change"} it at least as much (p = ${N.numberText("p_ablation", ablated.p)}): ` +
        (ablated.p <= 0.05
          ? "evidence that the activation depends on these neurons more than on others."
          : 1 / (1 + sets) > 0.05
            ? "too few sets for evidence, since p cannot fall below 0.05."
            : "no evidence that it depends on these neurons more than on others.");
    const chart = () =>
      charts.draw(place, {
        title: `${title(target)} without ${N.counted(n, "neuron")} of ${layers}`,
        word: "ablation",
        name: `ablation of ${layers}`,
        about:
          `Mean activation of the target: ${ui.short(ablated.before)} before, ` +
          `${ui.short(after)} without these neurons` +
          (sets ? `; between ${spread(ablated)} without as many random neurons` : ""),
        height: 132,
        legend: [
          { label: "before", mark: "rule", dash: "3 3", colour: "var(--text)" },
          { label: "without these neurons", mark: "dot", colour: charts.INSIDE },
          ...(sets ? [{ label: "without random neurons, a line for each set", mark: "rule", colour: LOWERS }] : []),
        ],
        rows: () => [
          ["neurons", "activation", "change", "accuracy"],
          ["before", ablated.before, 0, ablated.accuracy_before],
          ["these", after, ablated.change, ablated.accuracy_after],
          ...ablated.changes_random.map((one, k) => ["random", ablated.before + one, one, ablated.accuracy_random[k]]),
        ],
        options: () => ({
          marginLeft: 62,
          x: {
            label: "mean activation of the target",
            labelAnchor: "center",
            labelArrow: false,
            inset: 12,
            nice: true,
          },
          y: { label: null, domain: sets ? ["these", "random"] : ["these"], tickSize: 0 },
          marks: [
            Plot.ruleX([ablated.before], { stroke: "var(--text)", strokeDasharray: "3 3", strokeWidth: 2 }),
            Plot.tickX(ablated.changes_random, {
              x: (one) => ablated.before + one,
              y: () => "random",
              stroke: LOWERS,
              strokeWidth: 2,
              strokeOpacity: 0.75,
              insetTop: 6,
              insetBottom: 6,
            }),
            Plot.dot([after], { x: (v) => v, y: () => "these", r: 6, fill: charts.INSIDE }),
            charts.tip(
              [
                { x: after, y: "these", accuracy: ablated.accuracy_after },
                ...ablated.changes_random.map((one, k) => ({
                  x: ablated.before + one,
                  y: "random",
                  accuracy: ablated.accuracy_random[k],
                })),
              ],
              { x: "x", y: "y", title: (one) => `activation ${ui.short(one.x)}\naccuracy ${N.percent(one.accuracy)}` },
            ),
          ],
        }),
      });
    waiting(chart, place);
    return [
      h("h2", {}, "Without ", h("bdi", {}, `${N.counted(n, "neuron")} of ${layers}`)),
      h(
        "p",
        {},
        `${n === 1 ? "It is" : "They are"} set to ${n === 1 ? "its" : "their"} mean, and the model is rerun on ` +
          `${N.counted(ablated.n_samples, "sample")}: the mean activation of the target ${moved} ` +
          `${moved === "stays" ? "at" : `from ${ui.short(ablated.before)} to`} ${ui.short(after)}. ${judged}`,
      ),
      place,
      ui.facts([
        ["accuracy", N.percent(ablated.accuracy_before), "accuracy before"],
        ["accuracy", N.percent(ablated.accuracy_after), "without these neurons"],
        ["accuracy", sets ? N.percent(random) : "", "without random neurons"],
      ]),
      h(
        "details",
        {},
        h("summary", {}, n === 1 ? "The neuron" : `The ${n} neurons`),
        h(
          "ul",
          { class: "chips" },
          ablated.neurons.flatMap(([layer, names]) =>
            names.map((neuron) => {
              const i = N.find(layer, neuron);
              return h(
                "li",
                {},
                linked({ layer: layer, neuron: neuron }),
                i === undefined ? null : [": ", formulas.ofLabel(i)],
              );
            }),
          ),
        ),
      ),
    ];
  };
  function spread(ablated) {
    const all = ablated.changes_random.map((one) => ablated.before + one);
    return `${ui.short(Math.min(...all))} and ${ui.short(Math.max(...all))}`;
  }
  // A chart is drawn once its place is in the page.
  function waiting(chart, place) {
    queueMicrotask(() => {
      if (place.isConnected) chart();
    });
  }
})();
