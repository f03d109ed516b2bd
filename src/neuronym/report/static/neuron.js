// A neuron: evidence first, then its activations, samples, and what else it could be.
"use strict";
(() => {
  const N = neuronym;

  views.neuron = (path) => {
    const i = N.data.key.get(path.slice(0, 3).map(N.encoded).join("/"));
    if (i === undefined) return N.notFound("No such neuron");
    N.open([`neurons/${Math.floor(i / N.data.piece.neurons)}`], (piece) => {
      neuron(i, piece.neurons[i % N.data.piece.neurons], piece.samples);
    });
  };

  function neuron(i, detail, names) {
    const rows = N.rows(),
      at = rows.indexOf(i),
      before = at > 0 ? rows[at - 1] : null,
      after = at >= 0 && at + 1 < rows.length ? rows[at + 1] : null;
    const plots = h("div", { class: "charts" });
    const children = [
      h(
        "p",
        { class: "pager" },
        h("a", { href: "#/" }, "All neurons"),
        before === null ? null : h("a", { rel: "prev", href: N.link(before) }, "← previous"),
        after === null ? null : h("a", { rel: "next", href: N.link(after) }, "next →"),
        at < 0 ? null : h("span", { class: "quiet" }, `${at + 1} of ${rows.length}`),
      ),
      h("h1", {}, h("bdi", {}, N.nameOf(i))),
    ];
    const pictures = shown(i, detail, names);
    if (!detail.tree) {
      children.push(...without(i, detail));
      if (detail.distribution) children.push(plots);
    } else {
      children.push(
        h(
          "p",
          { class: "lead" },
          formulas.ofLabel(i, { words: true, links: true }),
          N.isLow(i) ? h("span", { class: "quiet" }, " (the neuron is low inside the formula)") : null,
        ),
        h("section", { class: "evidence", "aria-label": "Evidence" }, evidence(i, detail)),
        ...pictures.splice(0, detail.shown?.top ? 1 : 0), // what the neuron fires on, before charts about it
        plots,
        notes(detail),
      );
    }
    children.push(...pictures, others(detail));
    N.show(N.nameOf(i), children, "");
    if (detail.path?.length && detail.tree) lengths(plots, detail);
    distribution(plots, detail);
    roc(plots, detail, N.isLow(i));
  }

  // A neuron without a formula: its reason, and what is known for sure.
  function without(i, detail) {
    const constant = detail.value !== undefined;
    return [
      h("p", { class: "lead" }, ui.sign(i), " ", constant ? "A constant neuron" : "No formula"),
      h(
        "p",
        {},
        constant
          ? `Its activation is ${ui.short(detail.value)} on every sample, so no formula tells its samples apart.`
          : `There is no label: ${N.data.reasons[i] || "no formula was found"}.`,
      ),
    ];
  }

  // ---- evidence
  function interval(low, high) {
    return low === undefined ? "" : `${N.numberText("auc", low)} to ${N.numberText("auc", high)}`;
  }
  function evidence(i, detail) {
    const c = N.data.columns,
      state = N.stateOf(i),
      side = N.isLow(i) ? "≤" : "≥";
    const shown = (name) =>
      name in c ? N.textOf(name, i) : detail[name] === undefined ? "" : N.numberText(name, detail[name]);
    const optimal = c.optimal ? c.optimal[i] : "",
      proven =
        optimal === "" || optimal === null ? "" : optimal === "True" || optimal === true ? "proven" : "not proven";
    const parts = [h("p", { class: "judged" }, ui.sign(i), h("span", {}, judged(state, detail))), tops(i, detail)];
    if (state === "partly") {
      const simplest = N.data.trees[c.simplest[i]];
      parts.push(
        h(
          "p",
          { class: "simplest" },
          ui.word("simplest", !simplest || formulas.keepsAny(i) ? "What holds" : "No literal of it holds; what does"),
          ": ",
          simplest ? formulas.nodes(simplest, { words: true, links: true }) : "no literal",
        ),
      );
    }
    parts.push(
      ui.facts([
        ["value", shown("value"), shown("score").replaceAll("_", " ")],
        ["threshold", shown("value") && shown("threshold"), "counts above"],
        ["auc", shown("auc"), "AUC"],
        ["auc_heldout", shown("auc_heldout"), "held-out AUC"],
        ["interval", interval(detail.auc_low, detail.auc_high), "95% interval"],
        ["p_search", shown("p_search")],
        ["q", shown("q")],
        ["stability", shown("stability")],
        ["fraction", shown("fraction")],
        ["count", shown("count")],
        ["optimal", proven],
        ["gap", proven === "not proven" ? shown("gap") : ""],
        ["ceiling", shown("ceiling")],
        [
          "f1",
          detail.roc ? `${N.numberText("f1", detail.roc.f1)} at ${side} ${ui.short(detail.roc.threshold)}` : "",
          "highest F1",
        ],
        ["precision", shown("precision") || (detail.roc ? N.numberText("f1", detail.roc.precision) : "")],
        ["recall", shown("recall") || (detail.roc ? N.numberText("f1", detail.roc.best[1]) : "")],
        ["average_precision", shown("average_precision"), "average precision"],
        ["difference", shown("difference"), "difference in SDs"],
      ]),
    );
    if (detail.path?.length) parts.push(steps(detail));
    return parts;
  }
  function judged(state, detail) {
    const about = N.data.evidence.find((one) => one[0] === state)[1];
    const text =
      state === "holds" && detail.path?.every((step) => step.p_gain === undefined)
        ? "Believable: the label is significant. Whether each literal is needed was not tested on held-out samples."
        : about;
    const cut = text.search(/[:.]/);
    return [h("strong", {}, text.slice(0, cut)), text.slice(cut)];
  }
  // How many of the top samples are inside: a label that is too narrow leaves them out.
  function tops(i, detail) {
    const inside = detail.shown?.top?.[2].filter((one) => one !== null) || [];
    if (!inside.length) return null;
    const n = inside.filter(Boolean).length;
    const which = `${inside.length} samples with the ${N.isLow(i) ? "lowest" : "highest"} activation`;
    const few = 2 * n < inside.length;
    return h(
      "p",
      { class: few ? "few" : "quiet" },
      `Of the ${which}, ${n} ${n === 1 ? "is" : "are"} inside the formula`,
      few ? ": the neuron does respond to it, but it says little about what the neuron fires on most." : ".",
    );
  }
  // The best formula of each length, with what each adds on held-out samples.
  function steps(detail) {
    const held = detail.path.some((step) => step.auc_heldout !== undefined),
      tested = detail.path.some((step) => step.p_gain !== undefined),
      bounded = detail.path.some((step) => step.auc_low !== undefined);
    const columns = [
      ["up to length", 1, "auc by length"],
      ["best formula"],
      ["AUC", 1, "auc"],
      ...(held ? [["held out", 1, "auc_heldout"]] : []),
      ...(bounded ? [["95% interval", 1, "interval"]] : []),
      ...(tested
        ? [
            ["gain", 1, "gain"],
            ["p_gain", 1, "p_gain"],
            ["holds", 0, "simplest"],
          ]
        : []),
    ];
    let holding = true;
    const distinct = [];
    detail.path.forEach((step) => {
      const spelled = formulas.spelled(step.formula, 0),
        last = distinct.at(-1);
      if (last?.spelled === spelled) last.to = step.length;
      else distinct.push({ spelled: spelled, step: step, from: step.length, to: step.length });
    });
    const rows = distinct.map(({ step, from, to }) => {
      if (tested) holding = holding && step.p_gain !== undefined && step.p_gain <= 0.05 && step.auc >= 0.5;
      return [
        from === to ? from : `${from} to ${to}`,
        formulas.nodes(step.formula, { links: true }),
        N.numberText("auc", step.auc),
        ...(held ? [N.numberText("auc", step.auc_heldout)] : []),
        ...(bounded ? [interval(step.auc_low, step.auc_high)] : []),
        ...(tested
          ? [
              step.gain === undefined ? "" : (step.gain > 0 ? "+" : "") + step.gain.toFixed(4),
              N.numberText("p_gain", step.p_gain),
              holding ? "yes" : "no",
            ]
          : []),
      ];
    });
    return ui.table(columns, rows, "The best formula of each length");
  }
  function notes(detail) {
    const listed = [];
    (detail.aliases || []).forEach((one) => {
      listed.push(`${N.readable(one[0])} is true for the same samples as ${one.slice(1).map(N.readable).join(", ")}.`);
    });
    if (detail.unknown)
      listed.push(`No ROC curve: the concepts given to the report lack ${detail.unknown.map(N.readable).join(", ")}.`);
    if (detail.auc_heldout !== undefined && detail.roc)
      listed.push("Distribution, ROC curve, samples and single concepts are of all samples, searched and held out.");
    return listed.length ? h("p", { class: "quiet small" }, listed.join(" ")) : null;
  }

  // ---- charts
  function lengths(place, detail) {
    const known = new Set(detail.path.map((step) => formulas.spelled(step.formula, 0)));
    if (known.size < 2) return; // one formula has no course
    const held = detail.path.filter((step) => step.auc_heldout !== undefined),
      searched = detail.path.map((step) => ({ x: step.length, y: step.auc })),
      out = held.map((step) => ({ x: step.length, y: step.auc_heldout, low: step.auc_low, high: step.auc_high })),
      bounded = (
        held.length ? out : detail.path.map((s) => ({ x: s.length, y: s.auc, low: s.auc_low, high: s.auc_high }))
      ).filter((one) => one.low !== undefined);
    const steps = detail.path.map((step) => `${step.length}: ${N.numberText("auc", step.auc)}`),
      legend = [{ label: "samples searched", mark: "line", dot: true, colour: charts.INSIDE }];
    if (out.length) legend.push({ label: "held out", mark: "dashed", dash: "6 4", dot: true, colour: charts.OUTSIDE });
    charts.draw(place, {
      title: "AUC by length",
      word: "auc by length",
      about: `AUC by length of the formula: ${steps.join(", ")}`,
      legend: legend,
      note: bounded.length ? "Bars: 95% intervals." : null,
      rows: () => [
        ["length", "formula", "auc", "auc_heldout", "auc_low", "auc_high", "p_gain"],
        ...detail.path.map((s) => [
          s.length,
          formulas.spelled(s.formula, 0),
          s.auc,
          s.auc_heldout,
          s.auc_low,
          s.auc_high,
          ui.exact("p_gain", s.p_gain),
        ]),
      ],
      options: () => ({
        x: {
          label: "length",
          ticks: searched.map((p) => p.x),
          tickFormat: "d",
          labelAnchor: "center",
          labelArrow: false,
          inset: 30,
        },
        y: { label: "AUC", labelArrow: false, grid: true, nice: true },
        marks: [
          Plot.ruleX(bounded, {
            x: "x",
            y1: "low",
            y2: "high",
            stroke: out.length ? "var(--out)" : "var(--in)",
            strokeWidth: 2,
          }),
          Plot.line(searched, { x: "x", y: "y", stroke: "var(--in)", strokeWidth: 2 }),
          Plot.dot(searched, { x: "x", y: "y", fill: "var(--in)", r: 4 }),
          Plot.line(out, { x: "x", y: "y", stroke: "var(--out)", strokeWidth: 2, strokeDasharray: "6 4" }),
          Plot.dot(out, { x: "x", y: "y", fill: "var(--out)", r: 4 }),
          charts.tip(detail.path, {
            x: "length",
            y: "auc",
            title: (s) =>
              [
                formulas.spelled(s.formula, 0),
                `AUC ${N.numberText("auc", s.auc)}`,
                s.auc_heldout === undefined ? "" : `held out ${N.numberText("auc", s.auc_heldout)}`,
                s.p_gain === undefined ? "" : `p_gain ${N.numberText("p_gain", s.p_gain)}`,
              ]
                .filter(Boolean)
                .join("\n"),
          }),
        ],
      }),
    });
  }
  function distribution(place, detail) {
    const d = detail.distribution;
    if (!d) return;
    const sides = d.all
      ? [{ label: "all samples", ...d.all, colour: charts.INSIDE }]
      : [
          { label: "outside", ...d.outside, colour: charts.OUTSIDE },
          { label: "inside", ...d.inside, colour: charts.INSIDE },
        ];
    const figure = h("div", {});
    place.append(figure);
    charts.histogram(figure, {
      title: d.all ? "Activation" : "Activation inside and outside the formula",
      word: "distribution",
      about: `Histogram of the activation${d.all ? "" : " inside and outside the formula, in shares of each"}. ${sides
        .map((side) => `${side.zeros} of ${side.total} ${side.label} are exactly 0`)
        .join(", ")}.`,
      name: "activation",
      x: "activation",
      y: d.all ? "samples" : "share of each side",
      low: d.low,
      high: d.high,
      share: !d.all,
      series: sides,
    });
    // Exact zeros apart: after a rectifier they stand for everything below, and would hide the rest.
    if (sides.some((side) => side.zeros))
      figure.append(
        h(
          "div",
          { class: "zeros" },
          h("span", { class: "small" }, ui.word("zeros", "exactly 0, not drawn above")),
          sides.map((side) =>
            h(
              "span",
              { class: "small", title: `${side.zeros} of ${side.total} samples` },
              h(
                "span",
                { class: "split" },
                h("span", {
                  style: `width:${(100 * side.zeros) / Math.max(1, side.total)}%;background:${side.colour}`,
                }),
              ),
              `${side.label} ${N.percent(side.zeros / Math.max(1, side.total))}`,
            ),
          ),
        ),
      );
  }
  function roc(place, detail, low) {
    const curve = detail.roc;
    if (!curve) return;
    const points = curve.x.map((x, k) => ({ x: x, y: curve.y[k] })),
      best = { x: curve.best[0], y: curve.best[1] },
      rate = (v) => N.percent(v);
    charts.draw(place, {
      title: "ROC curve",
      word: "roc",
      about:
        `ROC curve with AUC ${N.numberText("auc", curve.auc)}; ` +
        "the threshold with the highest F1 has a false positive rate of " +
        `${rate(best.x)} and a true positive rate of ${rate(best.y)}`,
      legend: [
        { label: "all thresholds", mark: "line", colour: charts.INSIDE },
        { label: "threshold with the highest F1", mark: "dot", hollow: true, colour: charts.OUTSIDE },
      ],
      note: `Activations ${low ? "below" : "above"} a threshold count as positive.`,
      rows: () => [["false positive rate", "true positive rate"], ...points.map((p) => [p.x, p.y])],
      options: () => ({
        x: { label: "false positive rate", domain: [0, 1], labelAnchor: "center", labelArrow: false },
        y: { label: "true positive rate", domain: [0, 1], labelArrow: false, grid: true },
        marks: [
          Plot.line(
            [
              { x: 0, y: 0 },
              { x: 1, y: 1 },
            ],
            { x: "x", y: "y", stroke: "var(--quiet)", strokeDasharray: "2 4" },
          ),
          Plot.line(points, { x: "x", y: "y", stroke: "var(--in)", strokeWidth: 2 }),
          Plot.dot([best], { x: "x", y: "y", r: 5, stroke: "var(--out)", strokeWidth: 2, fill: "var(--back)" }),
          charts.tip(points, {
            x: "x",
            y: "y",
            title: (p) => `true positive rate ${rate(p.y)}\nfalse positive rate ${rate(p.x)}`,
          }),
        ],
      }),
    });
  }

  // ---- samples
  function shown(i, detail, names) {
    if (!detail.shown) return [];
    const low = N.isLow(i),
      high = low ? "low" : "high",
      kinds = [
        ["top", low ? "Lowest activations" : "Highest activations", ""],
        [
          "random",
          "Random samples inside the formula",
          "Drawn without regard to the activation: does it respond to them all?",
        ],
        ["outside", `Failures: ${high} activation outside the formula`, "What the formula leaves out."],
        ["missed", `Failures: ${low ? "high" : "low"} activation inside the formula`, "What the neuron leaves out."],
        ["bottom", low ? "Highest activations" : "Lowest activations", ""],
      ];
    const save = ui.saving("samples", () => [
      ["kind", "sample", "activation", "inside"],
      ...kinds.flatMap(([kind]) => {
        const [rows, values, inside] = detail.shown[kind] || [[]];
        return rows.map((row, k) => [kind, names[row]?.[0] ?? row, values[k], inside[k]]);
      }),
    ]);
    return kinds
      .filter(([kind]) => detail.shown[kind]?.[0].length)
      .map(([kind, title, about]) => {
        const [rows, values, inside] = detail.shown[kind];
        return h(
          "section",
          {},
          h("h2", {}, title, about ? h("span", { class: "quiet small" }, ` ${about}`) : null),
          ui.samples({ rows: rows, values: values, inside: inside }, names, N.nameOf(i)),
        );
      })
      .concat(h("p", {}, save));
  }

  // ---- what else it could be, and neurons like it
  function others(detail) {
    const columns = h("div", { class: "columns" });
    const section = (title, word, child) => {
      columns.append(h("section", {}, h("h2", {}, word ? ui.word(word, title) : title), child));
    };
    if (detail.runners_up?.length)
      section(
        "Runners-up",
        "runners-up",
        ui.table(
          [["formula"], ["AUC", 1, "auc"], ["fraction", 1, "fraction"]],
          detail.runners_up.map((step) => [
            formulas.nodes(step.formula, { links: true }),
            N.numberText("auc", step.auc),
            N.numberText("fraction", step.fraction),
          ]),
          "Runners-up",
        ),
      );
    if (detail.single)
      [
        ["highest", "Single concepts with the highest AUC"],
        ["lowest", "Single concepts with the lowest AUC"],
      ].forEach(([end, title]) => {
        if (detail.single[end].length)
          section(
            title,
            "single concepts",
            ui.table(
              [["concept"], ["AUC, all samples", 1, "auc"], ["count", 1, "count"]],
              detail.single[end].map(([name, auc, count]) =>
                Object.assign([concept(name), N.numberText("auc", auc), count], { to: N.conceptLink(name) }),
              ),
              title,
            ),
          );
      });
    if (detail.near?.length)
      section(
        "Neurons with the most similar activations",
        "rank correlation",
        ui.neurons(
          detail.near.map(([j, r]) => [j, N.numberText("r", r)]),
          [["rank correlation", 1, "rank correlation"]],
          "Neurons with the most similar activations",
        ),
      );
    if (detail.same?.length)
      section(
        "Neurons with the same formula",
        null,
        ui.neurons(
          detail.same.map((j) => [j, N.textOf("auc", j)]),
          [["AUC", 1, "auc"]],
          "Neurons with the same formula",
        ),
      );
    return columns.children.length ? columns : null;
  }
  function concept(name) {
    return N.data.place.has(N.encoded(name))
      ? h("a", { href: N.conceptLink(name) }, h("bdi", {}, N.readable(name)))
      : h("bdi", {}, N.readable(name));
  }
  ui.concept = concept;
})();
