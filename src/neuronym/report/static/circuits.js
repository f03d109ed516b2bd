// Circuits: how a neuron is computed from the neurons of lower layers.
"use strict";
(() => {
  const N = neuronym;

  views.circuits = (path) => {
    N.open(["circuits"], (listed) => {
      const k = Math.min(Number(path[0] || 0) || 0, listed.length - 1),
        circuit = listed[k];
      const title = (node) => `${node.layer} ${node.neuron}${node.name ? ` ${node.name}` : ""}`;
      const linked = (node) => {
        const i = N.find(node.layer, node.neuron);
        return i === undefined ? h("bdi", {}, title(node)) : h("a", { href: N.link(i) }, h("bdi", {}, title(node)));
      };
      const rows = circuit.edges
        .slice()
        .sort((a, b) => circuit.nodes[a[1]].level - circuit.nodes[b[1]].level || Math.abs(b[2]) - Math.abs(a[2]));
      N.show(
        "Circuits",
        [
          h("h1", {}, `Circuit of ${title(circuit.nodes[0])}`),
          listed.length > 1
            ? h(
                "p",
                { class: "pager" },
                listed.map((one, j) => h("a", { href: `#/circuits/${j}` }, title(one.nodes[0]))),
              )
            : null,
          h(
            "p",
            { class: "quiet" },
            `Mean contributions over ${circuit.n_samples} samples; dashed lines are negative contributions.`,
          ),
          drawing(circuit, title),
          ui.table(
            [["from"], ["formula"], ["to"], ["contribution", 1], ["share", 1]],
            rows.map((edge) => [
              linked(circuit.nodes[edge[0]]),
              circuit.nodes[edge[0]].formula || "",
              linked(circuit.nodes[edge[1]]),
              (edge[2] > 0 ? "+" : "") + N.numberText("c", edge[2]),
              N.percent(edge[3]),
            ]),
            "Contributions",
          ),
        ],
        "circuits",
      );
    });
  };

  function drawing(circuit, title) {
    let columns = {},
      tallest = 1;
    circuit.nodes.forEach((node, k) => {
      columns[node.level] ??= [];
      columns[node.level].push(k);
    });
    const levels = Object.keys(columns)
      .map(Number)
      .sort((a, b) => b - a);
    levels.forEach((l) => {
      tallest = Math.max(tallest, columns[l].length);
    });
    const width = 340 * levels.length,
      height = 46 * tallest + 20,
      at = {};
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", width);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Graph of the circuit; the table below lists its edges");
    function element(tag, attributes, text) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.keys(attributes).forEach((name) => {
        made.setAttribute(name, attributes[name]);
      });
      if (text) made.textContent = text;
      svg.append(made);
    }
    levels.forEach((l, x) => {
      columns[l].forEach((k, y) => {
        at[k] = [340 * x + 125, ((y + 0.5) * height) / columns[l].length];
      });
    });
    const widest = {};
    circuit.edges.forEach((edge) => {
      widest[edge[1]] = Math.max(widest[edge[1]] || 0, edge[3]);
    });
    circuit.edges.forEach((edge) => {
      const a = at[edge[0]],
        b = at[edge[1]];
      element("line", {
        x1: a[0],
        y1: a[1],
        x2: b[0],
        y2: b[1],
        stroke: edge[2] > 0 ? "var(--in)" : "var(--out)",
        "stroke-width": 0.8 + (4 * edge[3]) / widest[edge[1]],
        "stroke-opacity": 0.7,
        "stroke-dasharray": edge[2] > 0 ? "none" : "6 4",
      });
    });
    circuit.nodes.forEach((node, k) => {
      const p = at[k],
        cut = (text) => (text.length > 36 ? `${text.slice(0, 35)}…` : text);
      element("rect", {
        x: p[0] - 115,
        y: p[1] - 18,
        width: 230,
        height: 36,
        rx: 5,
        fill: "var(--soft)",
        stroke: "var(--line)",
      });
      element("text", { x: p[0], y: p[1] - 4, "text-anchor": "middle" }, cut(title(node)));
      element(
        "text",
        { x: p[0], y: p[1] + 11, "text-anchor": "middle" },
        node.formula ? `${cut(node.formula)}  ${N.numberText("auc", node.auc)}` : "",
      );
    });
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Graph" }, svg);
  }
})();
