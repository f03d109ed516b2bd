// The other views: a neuron, a concept, layers, a comparison of two sets of labels, circuits, spurious features.
"use strict";
(() => {
  const N = neuronym;

  function readable(name) {
    const c = N.data.place.get(N.encoded(name));
    return c === undefined ? name : N.data.named[c];
  }
  function concept(name, negated) {
    return h(
      "span",
      {},
      negated ? "not " : "",
      N.data.place.has(N.encoded(name))
        ? h("a", { href: N.conceptLink(name) }, h("bdi", {}, readable(name)))
        : h("bdi", {}, readable(name)),
    );
  }
  const BINDING = { or: 0, and: 1, not: 2 };
  // A formula in words, such as "dog and not grass".
  function words(tree, outer) {
    if (tree[0] === "concept") return concept(tree[1]);
    if (tree[0] === "not") return h("span", {}, "not ", words(tree[1], 2));
    const parts = [];
    tree.slice(1).forEach((one, i) => {
      if (i) parts.push(` ${tree[0]} `);
      parts.push(words(one, BINDING[tree[0]] + 1));
    });
    return BINDING[tree[0]] < (outer || 0) ? h("span", {}, "(", parts, ")") : h("span", {}, parts);
  }
  function branches(tree) {
    if (tree[0] === "concept") return h("li", {}, concept(tree[1]));
    if (tree[0] === "not" && tree[1][0] === "concept") return h("li", {}, concept(tree[1][1], true));
    const title = { and: "all of", or: "any of", not: "not" }[tree[0]];
    return h("li", {}, title, h("ul", {}, tree.slice(1).map(branches)));
  }
  function percent(x) {
    return x === null || x === undefined ? "" : `${(100 * x).toFixed(x < 0.1 ? 2 : 1)}%`;
  }
  function facts(listed) {
    return h(
      "dl",
      { class: "facts" },
      listed
        .filter((one) => one[1] !== null && one[1] !== undefined && one[1] !== "")
        .map((one) => h("div", { title: one[2] }, h("dt", {}, one[0]), h("dd", {}, one[1]))),
    );
  }
  function table(columns, rows, caption) {
    return h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      h(
        "table",
        {},
        h("caption", { class: "unseen" }, caption),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((one) => h("th", { scope: "col", class: one[1] ? "number" : null }, one[0])),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              {},
              row.map((one, c) => h("td", { class: columns[c][1] ? "number" : "name" }, one)),
            ),
          ),
        ),
      ),
    );
  }
  function neuronTable(rows, caption) {
    return table(
      [["neuron"], ["formula"], ["auc", 1]],
      rows.map((one) => [
        h("a", { href: N.link(one[0]) }, h("bdi", {}, N.nameOf(one[0]))),
        h("bdi", {}, N.formulaOf(one[0])),
        one[1] === null ? "" : N.numberText("auc", one[1]),
      ]),
      caption,
    );
  }

  // A list of samples: [samples, activations, whether inside], or samples alone.
  function samples(listed, names, _low) {
    const places = Array.isArray(listed[0]) ? listed[0] : listed,
      values = Array.isArray(listed[0]) ? listed[1] : [],
      truth = Array.isArray(listed[0]) ? listed[2] : [];
    const texts = places.some((row) => names[row]?.[1]);
    return h(
      "ul",
      { class: `samples${texts ? " texts" : ""}` },
      places.map((row, i) => {
        const sample = names[row] || [String(row), null, 0], // name, text, whether there is an image
          inside = truth[i];
        const image = sample[2]
          ? h("img", {
              src: `thumbs/${row}.jpg`,
              loading: "lazy",
              width: 112,
              height: 112,
              style: "object-fit:contain;height:auto;aspect-ratio:1",
              alt: `sample ${sample[0]}`,
            })
          : null;
        return h(
          "li",
          { class: inside === 1 ? "in" : inside === 0 ? "outside" : null },
          image,
          sample[1] ? h("p", { style: "margin:0 0 .3em", dir: "auto" }, sample[1]) : null,
          h("bdi", {}, sample[0]),
          values.length
            ? h(
                "div",
                { class: "quiet" },
                (inside === 1 ? "inside, " : inside === 0 ? "outside, " : "") + N.numberText("value", values[i]),
              )
            : null,
        );
      }),
    );
  }

  views.neuron = (path) => {
    const key = path.slice(0, 3).map(N.encoded).join("/");
    const i = N.data.key.get(key);
    if (i === undefined)
      return N.show("Not found", [h("h1", {}, "No such neuron"), h("p", {}, h("a", { href: "#/" }, "All neurons"))]);
    N.load(`neurons/${Math.floor(i / N.data.piece[0])}`, (part) => {
      if (!N.at("neuron", key)) return;
      neuron(i, part.neurons[i % N.data.piece[0]], part.samples);
    });
  };

  function neuron(i, detail, names) {
    const c = N.data.columns,
      low = c.low?.[i],
      rows = N.rows(),
      at = rows.indexOf(i);
    const before = at > 0 ? rows[at - 1] : null,
      after = at >= 0 && at + 1 < rows.length ? rows[at + 1] : null;
    const plots = h("div", { class: "charts" }),
      held = detail.auc_heldout !== undefined;
    const side = low ? "≤" : "≥";
    const kinds = {
      top: low ? "Lowest activations" : "Highest activations",
      random: "Random samples inside the formula",
      outside: `Failures: ${low ? "low" : "high"} activation outside the formula`,
      missed: `Failures: ${low ? "high" : "low"} activation inside the formula`,
    };
    const children = [
      h(
        "p",
        { class: "pager" },
        h("a", { href: "#/" }, "All neurons"),
        before !== null ? h("a", { rel: "prev", href: N.link(before) }, "← previous") : null,
        after !== null ? h("a", { rel: "next", href: N.link(after) }, "next →") : null,
      ),
      h("h1", {}, h("bdi", {}, N.nameOf(i))),
      h(
        "p",
        { style: "font-size:1.25rem;margin:.2em 0" },
        detail.tree ? words(detail.tree) : N.formulaOf(i),
        low ? h("span", { class: "quiet" }, " (the neuron is low inside the formula)") : null,
      ),
      facts([
        ...N.shownColumns()
          .filter(N.numeric)
          .map((one) => [one.name, N.textOf(one.name, i), one.about]),
        ...N.shownColumns()
          .filter((one) => one.name === "optimal")
          .map((one) => [one.name, N.textOf(one.name, i), one.about]),
        ...["gap", "ceiling"]
          .filter((name) => detail[name] !== undefined)
          .map((name) => [name, N.numberText(name, detail[name]), N.aboutOf(name)]),
        [
          "95% interval",
          detail.auc_low === undefined
            ? ""
            : `${N.numberText("auc", detail.auc_low)} to ${N.numberText("auc", detail.auc_high)}`,
        ],
        [
          "highest F1, in hindsight",
          detail.roc
            ? `${N.numberText("f1", detail.roc.f1)} at ${side}\u00a0${N.numberText("value", detail.roc.threshold)}`
            : "",
        ],
      ]),
      detail.tree && detail.tree[0] !== "concept"
        ? h("details", { class: "tree" }, h("summary", {}, "Formula as a tree"), h("ul", {}, branches(detail.tree)))
        : null,
      detail.aliases
        ? h(
            "p",
            { class: "quiet small" },
            detail.aliases.map(
              (one) => `${readable(one[0])} is true for the same samples as ${one.slice(1).map(readable).join(", ")}. `,
            ),
          )
        : null,
      detail.unknown
        ? h("p", {}, `No ROC curve: the concepts given to the report lack ${detail.unknown.map(readable).join(", ")}.`)
        : null,
      held && detail.roc
        ? h(
            "p",
            { class: "quiet small" },
            "The distribution, ROC curve, samples and single concepts below are computed on all samples, " +
              "both searched and held out.",
          )
        : null,
      plots,
    ];
    const title = N.nameOf(i);
    if (detail.shown)
      ["top", "random", "outside", "missed"].forEach((kind) => {
        if (detail.shown[kind]?.[0].length)
          children.push(h("h2", {}, kinds[kind]), samples(detail.shown[kind], names, low));
      });
    const columns = h("div", { class: "columns" });
    if (detail.path?.length)
      columns.append(
        h(
          "div",
          {},
          h("h2", {}, "Best formula by length"),
          table(
            [["length", 1], ["formula"], ["auc", 1], ["fraction", 1]],
            detail.path.map((step) => [
              step.length,
              words(step.formula),
              N.numberText("auc", step.auc),
              N.numberText("fraction", step.fraction),
            ]),
            "Best formula by length",
          ),
        ),
      );
    if (detail.runners_up?.length)
      columns.append(
        h(
          "div",
          {},
          h("h2", {}, "Runners-up"),
          table(
            [["formula"], ["auc", 1], ["fraction", 1]],
            detail.runners_up.map((step) => [
              words(step.formula),
              N.numberText("auc", step.auc),
              N.numberText("fraction", step.fraction),
            ]),
            "Runners-up",
          ),
        ),
      );
    if (detail.single)
      [
        ["highest", "Single concepts with the highest AUC"],
        ["lowest", "Single concepts with the lowest AUC"],
      ].forEach((one) => {
        columns.append(
          h(
            "div",
            {},
            h("h2", {}, one[1]),
            table(
              [["concept"], ["auc", 1], ["count", 1]],
              detail.single[one[0]].map((row) => [concept(row[0]), N.numberText("auc", row[1]), row[2]]),
              one[1],
            ),
          ),
        );
      });
    if (detail.near?.length)
      columns.append(
        h(
          "div",
          {},
          h("h2", {}, "Neurons with the most similar activations"),
          table(
            [["neuron"], ["formula"], ["rank correlation", 1]],
            detail.near.map((one) => [
              h("a", { href: N.link(one[0]) }, h("bdi", {}, N.nameOf(one[0]))),
              h("bdi", {}, N.formulaOf(one[0])),
              N.numberText("r", one[1]),
            ]),
            "Neurons with similar activations",
          ),
        ),
      );
    if (detail.same?.length)
      columns.append(
        h(
          "div",
          {},
          h("h2", {}, "Neurons with the same formula"),
          neuronTable(
            detail.same.map((j) => [j, c.auc[j]]),
            "Neurons with the same formula",
          ),
        ),
      );
    children.push(columns);
    N.show(title, children, "");
    figures(plots, detail, low);
  }

  // The sorted bin edges of densities {low, high, heights}.
  function edges(densities) {
    const all = densities.flatMap((d) =>
      Array.from({ length: d.heights.length + 1 }, (_, k) => d.low + (k * (d.high - d.low)) / d.heights.length),
    );
    return [...new Set(all)].sort((a, b) => a - b);
  }

  // The height of a density to the right of each x; null where it has no bin.
  function heights(d, x) {
    return x.map((at) => {
      const bin = Math.floor(((at - d.low) / (d.high - d.low)) * d.heights.length + 1e-6);
      return bin === d.heights.length ? 0 : (d.heights[bin] ?? null);
    });
  }

  function figures(place, detail, low) {
    if (detail.distribution) {
      const sides = detail.distribution,
        whole = sides.all !== undefined,
        x = edges(Object.values(sides));
      const zeros = Object.entries({
        all: "of the samples",
        inside: "of the samples inside",
        outside: "of the samples outside",
      })
        .filter(([side]) => sides[side]?.zeros)
        .map(([side, words]) => `${percent(sides[side].zeros)} ${words}`);
      const alternative = whole
        ? "Density of the activation over all samples."
        : "Densities of the activation inside and outside the formula.";
      const note = zeros.length ? `Not drawn: activations of exactly 0, ${zeros.join(" and ")}.` : null;
      charts.plot(
        place,
        whole ? "Activation" : "Activation inside and outside the formula",
        `${alternative} ${note || ""}`,
        x,
        whole
          ? [{ label: "all samples", y: heights(sides.all, x), colour: "in", fill: true, steps: true }]
          : [
              { label: "inside (line)", y: heights(sides.inside, x), colour: "in", fill: true, steps: true },
              {
                label: "outside (dashed)",
                y: heights(sides.outside, x),
                colour: "out",
                fill: true,
                steps: true,
                dash: [6, 4],
              },
            ],
        { x: "activation", y: "density", note: note },
      );
    }
    if (detail.roc) {
      const points = [];
      detail.roc.x.forEach((a, k) => {
        points.push([a, detail.roc.y[k], null]);
      });
      points.push([detail.roc.best[0], null, detail.roc.best[1]]);
      points.sort((a, b) => a[0] - b[0] || (a[1] || 0) - (b[1] || 0));
      charts.plot(
        place,
        "ROC curve",
        `ROC curve with AUC ${N.numberText("auc", detail.roc.auc)}; the threshold with the highest F1 has a false ` +
          `positive rate of ${N.numberText("x", detail.roc.best[0])} and a true positive rate of ` +
          `${N.numberText("y", detail.roc.best[1])}`,
        points.map((p) => p[0]),
        [
          {
            label: "all thresholds",
            y: points.map((p) => (p[1] === null ? undefined : p[1])),
            colour: "in",
          },
          {
            label: "threshold with the highest F1",
            y: points.map((p) => p[2]),
            colour: "out",
            alone: true,
            points: { show: true, size: 9, width: 2, stroke: charts.colour("out"), fill: charts.colour("back") },
          },
        ],
        {
          x: "false positive rate",
          y: "true positive rate",
          note: `Activations ${low ? "below" : "above"} the threshold count as positive.`,
          xrange: [0, 1],
          yrange: [0, 1.03],
        },
      );
    }
    if (detail.path && detail.path.length > 1) {
      const held = detail.path.some((step) => step.auc_heldout !== undefined);
      const series = [
        {
          label: "samples searched",
          y: detail.path.map((step) => step.auc),
          colour: "in",
          points: { show: true, size: 8 },
        },
      ];
      if (held)
        series.push({
          label: "held out",
          y: detail.path.map((step) => (step.auc_heldout === undefined ? null : step.auc_heldout)),
          colour: "out",
          dash: [6, 4],
          points: { show: true, size: 8 },
        });
      const steps = detail.path.map((step) => `${step.length}: ${N.numberText("auc", step.auc)}`);
      charts.plot(
        place,
        "AUC by length: precision and simplicity",
        `AUC by length of the formula: ${steps.join(", ")}`,
        detail.path.map((step) => step.length),
        series,
        { x: "length", y: "AUC", xaxis: { splits: detail.path.map((step) => step.length) } },
      );
    }
  }

  views.concepts = () => {
    const uses = new Map();
    N.data.formulas.forEach((f, k) => {
      const seen = new Set();
      (function walk(one) {
        if (Array.isArray(one)) one.slice(1).forEach(walk);
        else seen.add(one);
      })(f);
      seen.forEach((c) => {
        uses.set(c, (uses.get(c) || []).concat(k));
      });
    });
    const per = new Map();
    N.data.columns.formula.forEach((k) => {
      per.set(k, (per.get(k) || 0) + 1);
    });
    const rows = N.data.concepts.map((name, c) => [name, (uses.get(c) || []).reduce((sum, k) => sum + per.get(k), 0)]);
    rows.sort((a, b) => b[1] - a[1] || (readable(a[0]) < readable(b[0]) ? -1 : 1));
    N.show(
      "Concepts",
      [
        h("h1", {}, "Concepts"),
        h("p", { class: "quiet" }, `${rows.length} concepts, with the number of formulas that contain each`),
        table(
          [["concept"], ["formulas", 1]],
          rows.map((row) => [concept(row[0]), row[1]]),
          "Concepts",
        ),
      ],
      "concepts",
    );
  };

  views.concept = (path) => {
    const name = path[0],
      c = N.data.place.get(N.encoded(name));
    if (c === undefined)
      return N.show("Not found", [
        h("h1", {}, "No such concept"),
        h("p", {}, h("a", { href: "#/concepts" }, "All concepts")),
      ]);
    N.load(`concepts/${Math.floor(c / N.data.piece[1])}`, (part) => {
      const detail = part.concepts[c % N.data.piece[1]];
      const related = (listed, title) =>
        listed.length
          ? h(
              "div",
              {},
              h("h2", {}, title),
              h(
                "ul",
                { class: "plain" },
                listed.map((one) => h("li", {}, concept(one))),
              ),
            )
          : null;
      N.show(
        readable(name),
        [
          h(
            "p",
            { class: "pager" },
            h("a", { href: "#/concepts" }, "All concepts"),
            h("a", { href: `#/?q=${N.encoded(`"${readable(name)}"`)}` }, "neurons with it in their formula"),
          ),
          h("h1", {}, h("bdi", {}, readable(name))),
          facts([
            ["samples", detail.count === undefined ? "" : detail.count],
            ["formulas", detail.n_formulas],
            ["original name", readable(name) === name ? "" : name],
          ]),
          detail.aliases?.length
            ? h("p", { class: "quiet" }, `True for the same samples: ${detail.aliases.map(readable).join(", ")}.`)
            : null,
          h(
            "div",
            { class: "columns" },
            detail.neurons.length
              ? h(
                  "div",
                  {},
                  h("h2", {}, "Neurons that detect it best"),
                  neuronTable(detail.neurons, "Neurons that detect it best"),
                )
              : null,
            detail.formulas.length
              ? h(
                  "div",
                  {},
                  h("h2", {}, "Neurons with it in their formula"),
                  neuronTable(
                    detail.formulas.map((i) => [i, N.data.columns.auc[i]]),
                    "Neurons with it in their formula",
                  ),
                )
              : null,
            related(detail.parents, "Parent concepts"),
            related(detail.children, "Child concepts"),
          ),
          detail.samples?.length ? h("h2", {}, "Random samples with this concept") : null,
          detail.samples?.length ? samples(detail.samples, part.samples) : null,
        ],
        "concepts",
      );
    });
  };

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
          ? percent(value)
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
      table(
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

  views.layers = () => {
    const place = h("div", { class: "charts" }),
      beside = h("section", { class: "beside" }),
      c = N.data.columns,
      rows = [];
    N.data.layers.forEach((layer, l) => {
      const members = [];
      for (let i = 0; i < N.data.n; i++) if (c.layer[i] === l) members.push(i);
      const aucs = members
        .map((i) => c.auc[i])
        .filter((x) => x !== null)
        .sort((a, b) => a - b);
      const mean = (values) => {
        const v = values.filter((x) => x !== null && x !== undefined);
        return v.length ? v.reduce((a, b) => a + b) / v.length : null;
      };
      rows.push([
        h("a", { href: `#/?layer=${N.encoded(String(layer))}` }, h("bdi", {}, String(layer))),
        members.length,
        N.numberText("auc", aucs.length ? aucs[aucs.length >> 1] : null),
        N.numberText("auc", mean(members.map((i) => c.fraction[i]))),
        N.numberText("mean", mean(members.map((i) => (c.formula[i] < 0 ? null : N.data.length[c.formula[i]])))),
        c.q ? percent(mean(members.map((i) => (N.believed(i) ? 1 : 0)))) : "",
      ]);
    });
    N.show(
      "Layers",
      [
        h("h1", {}, "Comparison of layers"),
        table(
          [["layer"], ["neurons", 1], ["median AUC", 1], ["mean fraction", 1], ["mean length", 1], ["q ≤ 0.05", 1]],
          rows,
          "Layers",
        ),
        beside,
        place,
      ],
      "layers",
    );
    if (N.data.sections.includes("baselines")) N.load("baselines", (listed) => beside.append(...baselines(listed)));
    N.data.layers.forEach((layer, l) => {
      const bins = 30,
        counts = new Array(bins).fill(0);
      c.auc.forEach((a, i) => {
        if (a !== null && c.layer[i] === l) counts[Math.min(bins - 1, Math.floor(((a - 0.4) / 0.6) * bins))]++;
      });
      charts.plot(
        place,
        String(layer),
        `Histogram of AUC in layer ${layer}`,
        counts.map((_, b) => 0.4 + (0.6 * (b + 0.5)) / bins),
        [{ label: "neurons", y: counts, colour: "in", fill: true, bars: true, width: 0 }],
        { x: "AUC", y: "neurons", height: 150, xrange: [0.38, 1.02] },
      );
    });
  };

  views.compare = () => {
    N.load("compared", (listed) => {
      const rows = listed.map((one) => ({
        i: one[0],
        tree: one[1],
        auc: one[2],
        gain: one[2] === null || N.data.columns.auc[one[0]] === null ? null : one[2] - N.data.columns.auc[one[0]],
      }));
      rows.sort((a, b) => Math.abs(b.gain || 0) - Math.abs(a.gain || 0));
      const most = rows.length > 300 ? "; the first 300 are listed" : "";
      N.show(
        "Comparison",
        [
          h("h1", {}, "Comparison of two sets of labels"),
          h("p", { class: "quiet" }, `${rows.length} neurons are in both sets, sorted by difference in AUC${most}.`),
          table(
            [["neuron"], ["this set"], ["auc", 1], ["the other set"], ["auc", 1], ["difference", 1]],
            rows
              .slice(0, 300)
              .map((row) => [
                h("a", { href: N.link(row.i) }, h("bdi", {}, N.nameOf(row.i))),
                h("bdi", {}, N.formulaOf(row.i)),
                N.numberText("auc", N.data.columns.auc[row.i]),
                row.tree ? words(row.tree) : "none",
                N.numberText("auc", row.auc),
                row.gain === null ? "" : (row.gain > 0 ? "+" : "") + row.gain.toFixed(3),
              ]),
            "Comparison of two sets of labels",
          ),
        ],
        "compare",
      );
    });
  };

  views.circuits = (path) => {
    N.load("circuits", (listed) => {
      const k = Math.min(Number(path[0] || 0) || 0, listed.length - 1),
        circuit = listed[k];
      const title = (node) => `${node.layer} ${node.neuron}${node.name ? ` ${node.name}` : ""}`;
      const linked = (node) => {
        const i = N.data.key.get(`${N.encoded(node.layer)}/${N.encoded(node.neuron)}`);
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
          table(
            [["from"], ["formula"], ["to"], ["contribution", 1], ["share", 1]],
            rows.map((edge) => [
              linked(circuit.nodes[edge[0]]),
              circuit.nodes[edge[0]].formula || "",
              linked(circuit.nodes[edge[1]]),
              (edge[2] > 0 ? "+" : "") + N.numberText("c", edge[2]),
              percent(edge[3]),
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

  views.spurious = () => {
    N.load("findings", (listed) => {
      const children = [h("h1", {}, "Spurious features")];
      const headings = (part) => part.columns.map((name) => [name.replace(/_/g, " "), name === "name" ? 0 : 1]);
      listed.forEach((one) => {
        children.push(
          h("h2", {}, h("bdi", {}, one.suspect)),
          h(
            "p",
            { class: "quiet" },
            one.pairs
              ? `${one.pairs} pairs of samples, with and without the suspect`
              : "No pairs: samples with the suspect are compared with samples without it",
          ),
        );
        if (one.classes)
          children.push(
            h("h3", {}, "Classes that gain and lose"),
            table(
              headings(one.classes),
              one.classes.rows.map((row) => row.map((v, c) => N.numberText(one.classes.columns[c], v))),
              `Classes for ${one.suspect}`,
            ),
          );
        one.neurons.forEach((part) => {
          children.push(
            h("h3", {}, part.layer === null ? "Neurons" : `Neurons of ${part.layer}`),
            table(
              headings(part),
              part.rows.map((row) =>
                row.map((v, c) => {
                  if (part.columns[c] !== "neuron") return N.numberText(part.columns[c], v);
                  const i = N.data.key.get(`${N.encoded(part.layer === null ? "-" : part.layer)}/${N.encoded(v)}`);
                  return i === undefined ? String(v) : h("a", { href: N.link(i) }, String(v));
                }),
              ),
              `Neurons for ${one.suspect}`,
            ),
          );
        });
      });
      N.show("Spurious features", children, "spurious");
    });
  };
})();
