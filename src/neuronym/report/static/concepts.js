// Concepts: which neurons detect each, and which have it in their formula, positive and negated apart.
"use strict";
(() => {
  const N = neuronym;

  views.concepts = (_, query) => {
    const uses = N.uses(),
      d = N.data,
      body = h("div", {});
    const all = d.concepts.map((name, c) => ({
      name: name,
      c: c,
      text: formulas.fold(d.named[c]),
      yes: uses.yes[c],
      no: uses.no[c],
      count: d.counts[c],
      best: d.detectors[c],
    }));
    let sort = query.get("sort") || "uses",
      text = query.get("q") || "";
    const orders = {
      uses: (a, b) => b.yes + b.no - a.yes - a.no,
      detector: (a, b) => (b.best?.[1] ?? 0) - (a.best?.[1] ?? 0),
      samples: (a, b) => (b.count ?? 0) - (a.count ?? 0),
      name: () => 0,
    };
    const most = Math.max(1, ...all.map((one) => one.yes + one.no));
    function rows() {
      return all
        .filter((one) => one.text.includes(formulas.fold(text)))
        .sort((a, b) => orders[sort](a, b) || (a.text < b.text ? -1 : 1));
    }
    function draw() {
      const found = rows();
      history.replaceState(null, "", `#/concepts?${new URLSearchParams({ ...(text ? { q: text } : {}), sort: sort })}`);
      body.replaceChildren(
        found.length
          ? ui.folded(found, 100, (listed) =>
              ui.table(
                [
                  ["concept"],
                  ["samples", 1, "count"],
                  ["uses in formulas", 0, "uses"],
                  ["positive", 1, "uses"],
                  ["negated", 1, "uses"],
                  ["best detector", 0, "detectors"],
                  ["AUC", 1, "auc"],
                ],
                listed.map((one) =>
                  Object.assign(
                    [
                      ui.concept(one.name),
                      one.count ?? "",
                      h(
                        "span",
                        { class: "split", "aria-hidden": "true" },
                        h("span", { class: "yes", style: `width:${(100 * one.yes) / most}%` }),
                        h("span", { class: "no", style: `width:${(100 * one.no) / most}%` }),
                      ),
                      one.yes,
                      one.no,
                      one.best ? ui.neuron(one.best[0]) : "",
                      one.best ? N.numberText("auc", one.best[1]) : "",
                    ],
                    { to: N.conceptLink(one.name) },
                  ),
                ),
                "Concepts",
              ),
            )
          : h("p", { class: "nothing" }, "No concept has this in its name."),
      );
      N.say(N.counted(found.length, "concept"));
    }
    N.show(
      "Concepts",
      [
        h("h1", {}, "Concepts"),
        h(
          "p",
          { class: "quiet" },
          `${N.counted(all.length, "concept")}: how many formulas use each as it is (positive) ` +
            "and as “not” (negated), and the neuron that detects it best by itself.",
        ),
        h(
          "form",
          { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
          h(
            "label",
            { class: "search" },
            "search concepts",
            h("input", {
              type: "search",
              id: "concept-search",
              value: text,
              placeholder: d.named[0] ?? "",
              autocomplete: "off",
              oninput: (event) => {
                text = event.target.value;
                draw();
              },
            }),
          ),
          h(
            "label",
            {},
            "sort by",
            h(
              "select",
              {
                onchange: (event) => {
                  sort = event.target.value;
                  draw();
                },
              },
              [
                ["uses", "uses in formulas"],
                ["detector", "AUC of the best detector"],
                ["samples", "number of samples"],
                ["name", "name"],
              ].map(([key, title]) => h("option", { value: key, selected: key === sort }, title)),
            ),
          ),
          ui.saving("concepts", () => [
            ["concept", "samples", "positive uses", "negated uses", "best detector", "auc"],
            ...rows().map((one) => [
              one.name,
              one.count,
              one.yes,
              one.no,
              one.best ? N.nameOf(one.best[0]) : "",
              one.best?.[1],
            ]),
          ]),
        ),
        body,
      ],
      "concepts",
    );
    if (!orders[sort]) sort = "uses";
    draw();
  };

  views.concept = (path) => {
    const name = path[0],
      c = N.data.place.get(N.encoded(name));
    if (c === undefined) return N.notFound("No such concept");
    N.open([`concepts/${Math.floor(c / N.data.piece.concepts)}`], (piece) => {
      concept(name, c, piece.concepts[c % N.data.piece.concepts], piece.samples);
    });
  };

  function concept(name, c, detail, names) {
    const uses = N.uses(),
      inFormula = [],
      negated = [];
    detail.formulas.forEach((i) => {
      const found = N.data.literals[N.data.columns.formula[i]];
      if (found.yes.has(c)) inFormula.push(i);
      if (found.no.has(c)) negated.push(i);
    });
    const columns = h("div", { class: "columns" });
    const section = (title, word, child) => {
      if (child) columns.append(h("section", {}, h("h2", {}, word ? ui.word(word, title) : title), child));
    };
    const ranked = (listed, title) =>
      listed.length
        ? ui.folded(listed, 10, (some) =>
            ui.neurons(
              some.map((i) => [i, N.textOf("auc", i)]),
              [["AUC", 1, "auc"]],
              title,
            ),
          )
        : null;
    const related = (listed, title) => {
      if (listed?.length)
        section(
          title,
          null,
          h(
            "ul",
            { class: "chips" },
            listed.map((one) => h("li", {}, ui.concept(one))),
          ),
        );
    };
    if (detail.neurons.length)
      section(
        "Neurons that detect it best",
        "detectors",
        ui.folded(detail.neurons, 10, (some) =>
          ui.neurons(
            some.map(([i, auc]) => [i, N.numberText("auc", auc)]),
            [["AUC for it", 1, "detectors"]],
            "Neurons that detect it best",
          ),
        ),
      );
    section("With it in their formula", "uses", ranked(inFormula, "Neurons with it in their formula"));
    section("With “not” it in their formula", "uses", ranked(negated, "Neurons with its negation"));
    related(detail.parents, "More general");
    related(detail.children, "More specific");
    const word = formulas.quoted(N.readable(name)),
      quote = `"${N.readable(name).replace(/"/g, '""')}"`;
    N.show(
      N.readable(name),
      [
        h(
          "p",
          { class: "pager" },
          h("a", { href: "#/concepts" }, "All concepts"),
          uses.yes[c]
            ? h("a", { href: `#/?q=${N.encoded(quote)}` }, `neurons with ${word.length > 30 ? "it" : word}`)
            : null,
          uses.no[c]
            ? h("a", { href: `#/?q=${N.encoded(`~${quote}`)}` }, `neurons with ~${word.length > 30 ? "it" : word}`)
            : null,
        ),
        h("h1", {}, h("bdi", {}, N.readable(name))),
        ui.facts([
          ["count", detail.count, "samples with it"],
          ["uses", String(uses.yes[c]), "positive uses"],
          ["uses", String(uses.no[c]), "negated uses"],
          ["original name", N.readable(name) === name ? "" : name],
        ]),
        detail.aliases?.length
          ? h("p", { class: "quiet" }, `True for the same samples: ${detail.aliases.map(N.readable).join(", ")}.`)
          : null,
        detail.samples?.length ? h("h2", {}, "Random samples with it") : null,
        detail.samples?.length ? ui.samples({ rows: detail.samples }, names) : null,
        columns,
      ],
      "concepts",
    );
  }
})();
