// Spurious features: a ranking of the neurons and classes that respond to a suspect concept, with pairs of samples.
"use strict";
(() => {
  const N = neuronym,
    FIRST = 5; // rows of a ranking at first

  views.spurious = (path) => {
    N.open(["findings"], (listed) => {
      const at = Math.max(
          0,
          listed.findIndex((one) => one.suspect === path[0]),
        ),
        one = listed[at];
      N.show(
        `Spurious: ${one.suspect}`,
        [
          listed.length > 1
            ? h(
                "p",
                { class: "pager" },
                listed.map((other, k) =>
                  h(
                    "a",
                    { href: `#/spurious/${N.encoded(other.suspect)}`, "aria-current": k === at ? "true" : null },
                    h("bdi", {}, other.suspect),
                  ),
                ),
              )
            : null,
          h("h1", {}, "What responds to ", h("bdi", {}, one.suspect), "?"),
          h("p", { class: "quiet" }, compared(one)),
          ...verdict(one),
          ...neurons(one),
          ...classes(one),
        ],
        "spurious",
      );
      one.after?.forEach((draw) => {
        draw();
      });
    });
  };

  function compared(one) {
    const others = one.others.slice(0, 5).map((name, k) => [k ? ", " : "", h("bdi", {}, name)]),
      hidden = one.others.length > 5 ? ` and ${one.others.length - 5} more` : "",
      agree = one.others.length ? [" Only samples that agree on ", others, hidden, " are compared."] : "";
    const left = one.left_out
      ? `, ${N.counted(one.left_out, "sample")} left out, since nothing compares with them`
      : "";
    if (!one.pairs) return ["Samples with the suspect against the others, not in pairs", left, ".", agree];
    const more = one.unpaired ? `, ${N.counted(one.unpaired, "more sample")} in the AUC alone` : "";
    return [`${N.counted(one.pairs, "pair")} of samples, without and with the suspect${more}${left}.`, agree];
  }
  // How many neurons respond, by which criterion, and which does most.
  function verdict(one) {
    const sum = (name) => one.neurons.reduce((total, layer) => total + layer[name], 0),
      number = (v) => v.toLocaleString("en"),
      clear = sum("clear"),
      [low, high] = one.clear,
      first = rowsOf(one)
        .filter((row) => row.q <= 0.05)
        .sort((a, b) => Math.abs(b.auc - 0.5) - Math.abs(a.auc - 0.5))[0];
    return [
      h(
        "p",
        { class: "lead" },
        h("strong", {}, clear ? number(clear) : "None"),
        ` of ${N.counted(sum("n"), "neuron")} ${clear === 1 ? "responds" : "respond"} clearly `,
        `(q ≤ 0.05 and AUC ≥ ${high} or ≤ ${low}).`,
        clear && first
          ? [" The strongest, ", whoOf(first), `, ${first.auc > 0.5 ? "rises" : "falls"}: AUC ${first.auc.toFixed(2)}.`]
          : "",
      ),
      h("div", { class: "tiles" }, one.neurons.map(tile)),
    ];
    function tile(layer) {
      return h(
        "div",
        { class: "tile" },
        h("strong", {}, `${number(layer.clear)} of ${number(layer.n)}`),
        h(
          "span",
          {},
          ui.word("clear response", "respond clearly"),
          layer.layer === null ? "" : [" in ", h("bdi", {}, layer.layer)],
        ),
        h("span", {}, `${number(layer.significant)} with q ≤ 0.05`),
        h(
          "span",
          { class: "meter", "aria-hidden": "true" },
          h("span", { style: `width:${(100 * layer.clear) / layer.n}%` }),
        ),
      );
    }
  }
  function whoOf(row) {
    return row.i === undefined ? h("bdi", {}, `${row.layer ?? "neuron"} ${row.neuron}`) : ui.neuron(row.i);
  }

  // ---- neurons
  // The rows of all layers as objects, each with its pairs.
  function rowsOf(one) {
    return one.neurons.flatMap((layer) => {
      const shown = new Map(layer.shown.map(([name, pairs]) => [name, pairs]));
      return layer.rows.map((row) => {
        const found = { layer: layer.layer };
        layer.columns.forEach((name, c) => {
          found[name] = row[c];
        });
        found.pairs = shown.get(found.neuron);
        found.i = N.find(layer.layer, found.neuron);
        return found;
      });
    });
  }
  function neurons(one) {
    const all = rowsOf(one),
      place = h("div", {}),
      layers = one.neurons.map((layer) => layer.layer),
      pictured = all.some((row) => row.pairs?.length);
    let layer = "";
    function draw() {
      const rows = all.filter((row) => layer === "" || String(row.layer) === layer),
        by = (sign) => rows.filter((row) => sign * (row.auc - 0.5) > 0).sort((a, b) => sign * (b.auc - a.auc));
      place.replaceChildren(
        ...[
          ["Neurons that rise with it", by(1)],
          ["Neurons that fall with it", by(-1)],
        ].map(([title, ranked]) =>
          h(
            "section",
            {},
            h("h2", {}, title),
            ranked.length
              ? ui.folded(ranked, FIRST, (some) => ranking(some, title, pictured, one))
              : h("p", { class: "quiet" }, "None."),
          ),
        ),
      );
    }
    draw();
    const charted = h("div", { class: "charts small-charts" });
    one.after = [() => histograms(charted, one)];
    return [
      charted,
      h(
        "form",
        { class: "filters", onsubmit: (event) => event.preventDefault() },
        layers.length > 1
          ? h(
              "label",
              {},
              "layer",
              h(
                "select",
                {
                  id: "suspect-layer",
                  onchange: (event) => {
                    layer = event.target.value;
                    draw();
                  },
                },
                h("option", { value: "" }, "all"),
                layers.map((name) => h("option", { value: String(name) }, String(name))),
              ),
            )
          : null,
        ui.saving("spurious_neurons", () => {
          const columns = one.neurons[0].columns;
          return [
            ["layer", "formula", ...columns],
            ...all.map((row) => [
              row.layer,
              row.i === undefined ? "" : formulas.textOf(row.i),
              ...columns.map((name) => ui.exact(name, row[name])),
            ]),
          ];
        }),
        one.neurons.some((part) => part.rows.length < part.n)
          ? h(
              "span",
              { class: "quiet small" },
              "Of each layer, this page and its CSV hold the neurons at both ends; the findings hold all.",
            )
          : null,
      ),
      missing(one),
      place,
    ];
  }
  // Why layers have no pairs, in one line.
  function missing(one) {
    const reasons = new Map();
    one.neurons.forEach((layer) => {
      if (layer.why) reasons.set(layer.why, [...(reasons.get(layer.why) || []), layer.layer]);
    });
    if (!reasons.size) return null;
    const every = reasons.size === 1 && one.neurons.every((layer) => layer.why);
    return h(
      "p",
      { class: "quiet small" },
      [...reasons].map(([why, layers]) => [
        "No pairs are shown",
        every ? "" : [" for ", layers.map((name, k) => [k ? ", " : "", h("bdi", {}, String(name))])],
        `: ${why}. `,
      ]),
    );
  }
  function ranking(rows, caption, pictured, one) {
    const has = (name) => rows.some((row) => row[name] !== undefined && row[name] !== null);
    const columns = [
      ["rank", 1, "rank of response", "ranked"],
      ["neuron", 0, null, "who"],
      ["formula", 0, null, "what"],
      ...(pictured ? [["without → with it", 0, "pairs", "in-pairs"]] : []),
      ["AUC", 1, "auc of suspect", "titled"],
      ...(has("change_sd") ? [["change", 1, "change_sd", "titled"]] : []),
      ...(has("rises") ? [["rises", 1, "rises", "titled"]] : []),
      ["q", 1, "q", "titled"],
    ];
    const made = ui.table(
      columns,
      rows.map((row, k) =>
        Object.assign(
          [
            k + 1,
            whoOf(row),
            row.i === undefined
              ? h("span", { class: "quiet" }, "no label")
              : h("span", { class: "with-sign" }, ui.sign(row.i), formulas.ofLabel(row.i)),
            ...(pictured ? [pairs(row, one)] : []),
            h("span", { class: "of-auc" }, interval(row), h("span", {}, N.numberText("auc", row.auc))),
            ...(has("change_sd") ? [row.change_sd === null ? "" : `${signed(row.change_sd)} SD`] : []),
            ...(has("rises") ? [N.percent(row.rises)] : []),
            N.numberText("q", row.q),
          ],
          row.i === undefined ? {} : { to: N.link(row.i) },
        ),
      ),
      caption,
    );
    made.classList.add("ranking");
    return made;
  }
  function signed(v) {
    return v === 0 ? "0" : (v > 0 ? "+" : "−") + rounded(Math.abs(v));
  }
  function rounded(size) {
    return size >= 0.01 && size < 1e4 ? size.toFixed(2) : String(Number(size.toPrecision(2)));
  }
  // An activation in three digits.
  function brief(v) {
    return String(Number(v.toPrecision(3))).replace(/^-/, "−");
  }
  // The AUC as a bar from the middle, with its interval.
  function interval(row) {
    const at = (v) => 100 * Math.max(0, Math.min(1, v)),
      low = at(Math.min(0.5, row.auc)),
      high = at(Math.max(0.5, row.auc));
    return h(
      "span",
      { class: "middle", "aria-hidden": "true" },
      h("span", { class: row.auc > 0.5 ? "yes" : "no", style: `left:${low}%;width:${high - low}%` }),
      row.auc_low === null || row.auc_low === undefined
        ? null
        : h("span", {
            class: "whisker",
            style: `left:${at(row.auc_low)}%;width:${at(row.auc_high) - at(row.auc_low)}%`,
          }),
    );
  }
  // The pairs in which a neuron changes most; a click opens both samples.
  function pairs(row, { suspect, samples: names }) {
    return h(
      "span",
      { class: "pairs" },
      (row.pairs || []).map(([before, after, without, with_]) => {
        const one = (sample) =>
          ui.picture(sample, names[sample] || [String(sample), null, 0]) ||
          h("span", { class: "text" }, names[sample]?.[1] || names[sample]?.[0] || sample);
        return h(
          "button",
          {
            type: "button",
            class: "pair",
            title: `${brief(without)} → ${brief(with_)}`,
            "aria-label": `Open the pair ${names[before]?.[0] ?? before} and ${names[after]?.[0] ?? after}`,
            onclick: () =>
              ui.enlarge(
                1,
                {
                  rows: [before, after],
                  values: [without, with_],
                  notes: ["without", "with"].map((side) => [`${side} `, h("bdi", {}, suspect)]),
                },
                names,
                row.i === undefined ? String(row.neuron) : N.nameOf(row.i),
              ),
          },
          one(before),
          one(after),
          h("span", { class: "small" }, `${brief(without)} → ${brief(with_)}`),
        );
      }),
    );
  }
  function histograms(place, one) {
    one.neurons
      .filter((layer) => layer.aucs.length > 1)
      .forEach((layer) => {
        // Bins of whole hundredths: AUCs are rounded to thousandths, so that each holds as many values.
        const ends = layer.aucs.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [0.45, 0.55]),
          [least, most] = [Math.floor(20 * ends[0] + 1e-9) / 20, Math.ceil(20 * ends[1] - 1e-9) / 20],
          bins = Math.round((most - least) / (most - least > 0.6 ? 0.025 : 0.01)),
          counts = new Array(bins).fill(0);
        layer.aucs.forEach((a) => {
          counts[Math.min(bins - 1, Math.floor(((a - least) / (most - least)) * bins + 1e-9))]++;
        });
        charts.histogram(place, {
          title: layer.layer === null ? "AUC of the neurons" : `AUC in ${layer.layer}`,
          word: "auc of suspect",
          about: `Histogram of the AUC of ${layer.aucs.length} neurons for ${one.suspect}`,
          x: `AUC for ${one.suspect}`,
          y: "neurons",
          low: least,
          high: most,
          height: 170,
          series: [{ label: "neurons", counts: counts, colour: charts.INSIDE }],
          marks: () => [Plot.ruleX([0.5], { stroke: "var(--text)", strokeDasharray: "4 3" })],
          note: "Dashed: no response.",
        });
      });
  }

  // ---- classes
  function classes(one) {
    if (!one.classes) return [];
    const all = one.classes.rows.map((row) => {
      const found = {};
      one.classes.columns.forEach((name, c) => {
        found[name] = row[c];
      });
      return found;
    });
    const gain = all.filter((row) => row.change > 0).sort((a, b) => b.change - a.change),
      lose = all.filter((row) => row.change < 0).sort((a, b) => a.change - b.change),
      shown = [...gain.slice(0, FIRST), ...lose.slice(0, FIRST).reverse()],
      name = (row) => row.name ?? String(row.class),
      place = h("div", { class: "charts" });
    if (!shown.length) return [h("h2", {}, "Classes that gain and lose"), h("p", { class: "quiet" }, "No class does.")];
    one.after.push(() =>
      charts.draw(place, {
        title: "Change of the logit",
        word: "change",
        about: `Bars of the change of the logit with its interval for ${shown.length} classes`,
        height: 60 + 19 * shown.length,
        note: "Bars: 95% intervals.",
        rows: () => [
          ["class", "change", "low", "high"],
          ...shown.map((r) => [name(r), r.change, r.change_low, r.change_high]),
        ],
        options: () => ({
          marginLeft: 170,
          x: { label: "change of the logit", labelAnchor: "center", labelArrow: false, grid: true },
          y: {
            label: null,
            domain: shown.map(name),
            tickFormat: (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text),
          },
          marks: [
            Plot.barX(shown, {
              x: "change",
              y: name,
              fill: (row) => (row.change > 0 ? charts.INSIDE : charts.OUTSIDE),
              fillOpacity: 0.7,
            }),
            Plot.ruleY(
              shown.filter((row) => row.change_low !== undefined && row.change_low !== null),
              { y: name, x1: "change_low", x2: "change_high", strokeWidth: 1.5 },
            ),
            Plot.ruleX([0]),
            charts.tip(shown, {
              x: "change",
              y: name,
              title: (row) => `${name(row)}\nlogit ${signed(row.change)}\nq ${N.numberText("q", row.q)}`,
            }),
          ],
        }),
      }),
    );
    const part = (title, rows) => [
      h("h3", {}, title),
      rows.length
        ? ui.folded(rows, FIRST, (some) =>
            ui.table(
              [
                ["class"],
                ["change", 1, "change"],
                ["probability", 1, "probability"],
                ["predicted", 1, "predicted"],
                ["q", 1, "q"],
              ],
              some.map((row) => [
                h("bdi", {}, name(row)),
                signed(row.change),
                arrow(row.probability_before, row.probability_after),
                arrow(row.predicted_before, row.predicted_after),
                N.numberText("q", row.q),
              ]),
              title,
            ),
          )
        : h("p", { class: "quiet" }, "No class does."),
    ];
    return [
      h("h2", {}, "Classes that gain and lose"),
      all.some((row) => row.q <= 0.05) ? null : h("p", { class: "quiet" }, "No change is significant: every q > 0.05."),
      h(
        "div",
        { class: "of-classes" },
        h(
          "div",
          {},
          place,
          ui.saving("spurious_classes", () => [
            one.classes.columns,
            ...one.classes.rows.map((row) => row.map((v, c) => ui.exact(one.classes.columns[c], v))),
          ]),
        ),
        h("div", {}, h("section", {}, part("Gain", gain)), h("section", {}, part("Lose", lose))),
      ),
    ];
  }
  function arrow(before, after) {
    if (before === null || before === undefined) return "";
    return `${N.percent(before)} → ${N.percent(after)}`;
  }
})();
