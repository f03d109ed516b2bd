// Layers side by side, the network beside untrained ones, and two sets of labels side by side.
"use strict";
(() => {
  const N = neuronym;

  // The network beside baselines, such as untrained networks: what training adds.
  const baselines = (listed) => {
    const text = { auc: "auc", auc_heldout: "auc", concepts: "count" },
      measures = [
        ["auc", "median AUC"],
        ["auc_heldout", "median held-out AUC"],
        ["believable", "believable labels"],
        ["concepts", "concepts covered"],
      ].filter(([name]) => listed.some((row) => row[name][0] !== null));
    const shown = (name, value) =>
      value === null
        ? ""
        : name === "believable"
          ? N.percent(value)
          : name === "concepts"
            ? `${Math.round(value)}`
            : N.numberText(text[name], value);
    const range = (name, [, mean, low, high]) =>
      low === high ? shown(name, mean) : `${shown(name, mean)} (${shown(name, low)} to ${shown(name, high)})`;
    const n = listed[0].baselines,
      beside = `The network beside ${n} ${n === 1 ? "baseline" : "baselines"}, such as the same network untrained`;
    return [
      h("h2", {}, "Beside baselines"),
      h("p", { class: "quiet" }, `${beside}: mean, and range in brackets.`),
      ui.table(
        [
          ["layer"],
          ...measures.flatMap(([, title]) => [
            [title, 1],
            ["baselines", 1],
          ]),
        ],
        listed.map((row) => [
          h("bdi", {}, row.layer === null ? "all" : String(row.layer)),
          ...measures.flatMap(([name]) => [shown(name, row[name][0]), range(name, row[name])]),
        ]),
        "The network beside baselines",
      ),
    ];
  };

  function middle(values) {
    const known = values.filter((x) => x !== null && x !== undefined).sort((a, b) => a - b);
    return known.length ? (known[(known.length - 1) >> 1] + known[known.length >> 1]) / 2 : null;
  }
  function mean(values) {
    const known = values.filter((x) => x !== null && x !== undefined);
    return known.length ? known.reduce((a, b) => a + b) / known.length : null;
  }

  views.layers = () => {
    const place = h("div", { class: "charts" }),
      beside = h("section", { class: "beside" }),
      c = N.data.columns,
      tested = N.data.verdict.believable !== null,
      members = N.data.layers.map(() => []);
    for (let i = 0; i < N.data.n; i++) members[c.layer[i]].push(i);
    const columns = [
      ["layer"],
      ["neurons", 1],
      ["median AUC", 1, "auc"],
      ...(c.auc_heldout ? [["median held-out AUC", 1, "auc_heldout"]] : []),
      ["mean fraction", 1, "fraction"],
      ["mean length", 1, "length"],
      ...(tested ? [["believable", 1, "believable"]] : []),
    ];
    const numbers = N.data.layers.map((_, l) => {
      const listed = members[l],
        of = (name) => listed.map((i) => c[name][i]),
        believed = (i) => (["holds", "partly"].includes(N.stateOf(i)) ? 1 : 0);
      return [
        listed.length,
        middle(of("auc")),
        ...(c.auc_heldout ? [middle(of("auc_heldout"))] : []),
        mean(of("fraction")),
        mean(listed.map((i) => formulas.lengthOf(i))),
        ...(tested ? [mean(listed.map(believed))] : []),
      ];
    });
    const rows = N.data.layers.map((layer, l) => {
      const to = `#/?layer=${N.encoded(String(layer))}`,
        shown = numbers[l].map((v, k) =>
          k === 0 ? v : columns[k + 1][0] === "believable" ? N.percent(v) : N.numberText("auc", v),
        );
      return Object.assign([h("a", { href: to }, h("bdi", {}, String(layer))), ...shown], { to: to });
    });
    N.show(
      "Layers",
      [
        h("h1", {}, "Layers"),
        h(
          "p",
          { class: "quiet" },
          "How well the neurons of each layer are described by concepts. A row opens its neurons.",
        ),
        ui.table(columns, rows, "Layers"),
        ui.saving("layers", () => [
          columns.map(([title]) => title),
          ...numbers.map((row, l) => [String(N.data.layers[l]), ...row]),
        ]),
        beside,
        h("h2", {}, "AUC of each layer"),
        place,
      ],
      "layers",
    );
    if (N.data.sections.includes("baselines"))
      N.open(["baselines"], (listed) => {
        beside.append(...baselines(listed));
      });
    const values = c.auc_heldout || c.auc,
      axis = charts.aucs([values]);
    N.data.layers.forEach((layer, l) => {
      charts.histogram(place, {
        title: String(layer),
        about: `Histogram of ${c.auc_heldout ? "held-out " : ""}AUC in layer ${layer}`,
        x: c.auc_heldout ? "held-out AUC" : "AUC",
        y: "neurons",
        low: axis.low,
        high: 1,
        height: 170,
        series: [{ label: "neurons", counts: axis.counts(members[l].map((i) => values[i])), colour: charts.INSIDE }],
        marks: () => {
          const m = middle(members[l].map((i) => values[i]));
          return m === null ? [] : [Plot.ruleX([m], { stroke: "var(--text)", strokeDasharray: "4 3" })];
        },
        note: "Dashed: the median.",
      });
    });
  };

  views.compare = () => {
    N.open(["compared"], (listed) => {
      const c = N.data.columns,
        rows = listed.map(([i, tree, auc]) => ({
          i: i,
          tree: tree,
          auc: auc,
          gain: auc === null || c.auc[i] === null ? null : auc - c.auc[i],
          same: tree && formulas.treeOf(i) && formulas.spelled(tree, 0) === formulas.textOf(i),
        }));
      rows.sort((a, b) => Math.abs(b.gain || 0) - Math.abs(a.gain || 0));
      const place = h("div", { class: "charts" }),
        points = rows.filter((row) => row.gain !== null);
      N.show(
        "Comparison",
        [
          h("h1", {}, "Comparison of two sets of labels"),
          h(
            "p",
            { class: "quiet" },
            `${N.counted(rows.length, "neuron")} are in both sets; ${rows.filter((row) => row.same).length} have the ` +
              "same formula. Sorted by difference in AUC.",
          ),
          place,
          ui.saving("comparison", () => [
            ["neuron", "formula", "auc", "other formula", "other auc"],
            ...rows.map((row) => [
              N.nameOf(row.i),
              formulas.textOf(row.i),
              c.auc[row.i],
              row.tree ? formulas.spelled(row.tree, 0) : "",
              row.auc,
            ]),
          ]),
          ui.folded(rows, 100, (some) =>
            ui.table(
              [["neuron"], ["this set"], ["AUC", 1, "auc"], ["the other set"], ["AUC", 1, "auc"], ["difference", 1]],
              some.map((row) =>
                Object.assign(
                  [
                    ui.neuron(row.i),
                    formulas.ofLabel(row.i),
                    N.textOf("auc", row.i),
                    row.tree ? formulas.nodes(row.tree) : "none",
                    N.numberText("auc", row.auc),
                    row.gain === null ? "" : (row.gain > 0 ? "+" : "") + row.gain.toFixed(3),
                  ],
                  { to: N.link(row.i) },
                ),
              ),
              "Comparison of two sets of labels",
            ),
          ),
        ],
        "compare",
      );
      if (points.length)
        charts.draw(place, {
          title: "AUC in both sets",
          word: "auc",
          about: `Scatter plot of the AUC of ${points.length} neurons in both sets`,
          rows: () => [
            ["neuron", "this set", "the other set"],
            ...points.map((p) => [N.nameOf(p.i), c.auc[p.i], p.auc]),
          ],
          options: () => ({
            x: { label: "AUC in this set", labelAnchor: "center", labelArrow: false, nice: true },
            y: { label: "AUC in the other set", labelArrow: false, grid: true, nice: true },
            marks: [
              Plot.line(
                [
                  [0.4, 0.4],
                  [1, 1],
                ],
                { stroke: "var(--quiet)", strokeDasharray: "2 4", clip: true },
              ),
              Plot.dot(points, { x: (p) => c.auc[p.i], y: "auc", r: 2.5, fill: "var(--in)", fillOpacity: 0.5 }),
              charts.tip(points, {
                x: (p) => c.auc[p.i],
                y: "auc",
                title: (p) =>
                  `${N.nameOf(p.i)}\n${formulas.textOf(p.i)}\n${p.tree ? formulas.spelled(p.tree, 0) : "none"}`,
              }),
            ],
          }),
        });
    });
  };
})();
