// The first page: what was labelled, the verdict, charts of all labels, and the neurons as a gallery or a table.
"use strict";
(() => {
  const N = neuronym,
    CARDS = 24,
    ROWS = 60;

  // ---- which neurons, in which order
  function sliders() {
    return N.columns().filter((one) => one.at_least !== undefined && one.name in N.data.columns);
  }
  let kept = { key: null, found: null };
  // The labels found by a query, in order: {rows, sort, falling}.
  function filtered(query) {
    const key = ["q", "layer", "evidence", "believed", "sort", ...sliders().map((one) => one.name)]
      .map((name) => query.get(name) || "")
      .join("\n");
    if (kept.key !== key) kept = { key: key, found: computed(query) };
    return kept.found;
  }
  function computed(query) {
    const c = N.data.columns,
      fits = formulas.search(query.get("q")),
      layer = query.get("layer"),
      evidence = query.get("evidence") || (query.get("believed") === "1" ? "believable" : ""),
      states = evidence === "believable" ? ["holds", "partly"] : [evidence];
    const minimums = sliders()
      .map((one) => [c[one.name], Number(query.get(one.name) || 0)])
      .filter((one) => one[1] > 0);
    const rows = [];
    for (let i = 0; i < N.data.n; i++) {
      if (layer !== null && String(N.layerOf(i)) !== layer) continue;
      if (evidence && !states.includes(N.stateOf(i))) continue;
      if (!minimums.every((one) => one[0][i] !== null && one[0][i] >= one[1])) continue;
      if (fits(i)) rows.push(i);
    }
    let sort = query.get("sort") || "-auc",
      falling = sort[0] === "-";
    if (falling) sort = sort.slice(1);
    if (sort !== "evidence" && !N.columns().some((one) => one.name === sort)) {
      sort = "auc";
      falling = true;
    }
    const values = new Array(N.data.n);
    rows.forEach((i) => {
      values[i] = N.value(sort, i);
    });
    const empty = (x) => x === null || x === undefined || x === "";
    rows.sort((a, b) => {
      let x = values[a],
        y = values[b];
      if (x === y) return a - b;
      if (empty(x)) return 1;
      if (empty(y)) return -1;
      if (typeof x !== typeof y) {
        x = String(x);
        y = String(y);
      }
      return (x < y ? -1 : 1) * (falling ? -1 : 1);
    });
    return { rows: rows, sort: sort, falling: falling };
  }
  N.rows = () => filtered(N.filters()).rows;

  // ---- columns of the table: those chosen by the reader, or those that tell labels apart
  function informative(column) {
    if (["neuron", "formula", "auc"].includes(column.name)) return true;
    const formula = N.data.columns.formula; // a label without one says nothing of most columns
    let first;
    for (let i = 0; i < N.data.n; i++) {
      if (formula[i] < 0) continue;
      const v = N.value(column.name, i);
      if (first === undefined) first = v;
      else if (v !== first) return true;
    }
    return false;
  }
  let folded = null;
  function chosen(query) {
    const available = N.columns(),
      names = query.get("columns");
    folded ??= new Map(available.map((one) => [one.name, !informative(one)]));
    if (names !== null) return available.filter((one) => names.split(",").includes(one.name) || one.name === "neuron");
    return available.filter((one) => one.shown && !folded.get(one.name));
  }
  // What the columns that are folded away say of all labels.
  function ofAll(query) {
    const away = N.columns().filter((one) => one.shown && !chosen(query).includes(one) && folded.get(one.name));
    const i = Math.max(
      0,
      N.data.columns.formula.findIndex((k) => k >= 0),
    );
    return away.map((one) => `${one.name} ${N.textOf(one.name, i) || "empty"}`);
  }

  // ---- the verdict
  function tile(number, text, share, name) {
    return h(
      "div",
      { class: "tile" },
      h("strong", {}, number),
      h("span", {}, name ? ui.word(name, text) : text),
      share === undefined || share === null
        ? null
        : h("span", { class: "meter", "aria-hidden": "true" }, h("span", { style: `width:${100 * share}%` })),
    );
  }
  function verdict() {
    const v = N.data.verdict,
      found = v.labels - v.constant - v.without,
      share = (n, of) => (of ? ` of ${of} (${Math.round((100 * n) / of)}%)` : "");
    const tiles = [tile(v.labels, v.labels === 1 ? "label" : "labels")];
    if (v.constant)
      tiles.push(tile(v.constant, v.constant === 1 ? "constant neuron" : "constant neurons", null, "constant"));
    if (v.without) tiles.push(tile(v.without, "without a formula"));
    if (v.believable === null)
      tiles.push(tile("?", "not tested: label with permutations or a hold-out", null, "evidence"));
    else {
      const partly = N.data.columns.evidence.filter((k) => N.data.states[k] === "partly").length,
        text = `believable${share(v.believable, found)}${partly ? `, ${partly} of them in part` : ""}`;
      tiles.push(tile(v.believable, text, v.believable / (found || 1), "believable"));
    }
    if (v.kept !== null)
      tiles.push(tile(v.kept, `literals hold${share(v.kept, v.literals)}`, v.kept / (v.literals || 1), "literal"));
    if (v.proven !== null)
      tiles.push(tile(v.proven, `proven optimal${share(v.proven, found)}`, v.proven / (found || 1), "optimal"));
    if (v.auc !== null)
      tiles.push(tile(v.auc.toFixed(3), `median AUC${v.optimism === null ? "" : ", held out"}`, 2 * v.auc - 1, "auc"));
    if (v.optimism !== null)
      tiles.push(
        tile(
          Math.abs(v.optimism).toFixed(3),
          `AUC ${v.optimism < 0 ? "gained" : "lost"} on held-out samples`,
          null,
          "optimism",
        ),
      );
    return h("div", { class: "tiles", role: "group", "aria-label": "Verdict" }, tiles);
  }

  // ---- small charts of all labels
  function summary() {
    const c = N.data.columns,
      place = h("div", { class: "charts small-charts" });
    const known = c.auc.filter((x) => x !== null);
    if (!known.length) return place;
    const axis = charts.aucs([c.auc, c.auc_heldout]),
      series = [{ label: "searched", counts: axis.counts(known), colour: charts.INSIDE }];
    if (c.auc_heldout) series.push({ label: "held out", counts: axis.counts(c.auc_heldout), colour: charts.OUTSIDE });
    charts.histogram(place, {
      title: "AUC of the labels",
      word: "auc",
      about: `Histogram of the AUC of ${known.length} labels`,
      x: "AUC",
      y: "labels",
      low: axis.low,
      high: 1,
      series: series,
      height: 190,
    });
    const deep = N.data.depth && c.formula.some((k) => k >= 0 && meanDepth(k) !== null),
      x = deep ? "depth: steps below the top" : "fraction of samples";
    let points = [];
    for (let i = 0; i < N.data.n; i++) {
      if (c.formula[i] < 0) continue;
      const across = deep ? meanDepth(c.formula[i]) : c.fraction[i];
      if (across !== null) points.push({ i: i, x: across, y: c.auc[i] });
    }
    const all = points.length;
    if (all > 2000) points = points.filter((_, k) => k % Math.ceil(all / 2000) === 0);
    if (points.length)
      charts.draw(place, {
        title: deep ? "AUC by depth of the concepts" : "AUC by fraction",
        word: deep ? "depth" : "fraction",
        about: `Scatter plot of AUC against ${deep ? "the mean depth of the concepts" : "the fraction of samples"}`,
        height: 190,
        note: all > points.length ? `${points.length} of ${all} labels are drawn.` : null,
        rows: () => [["neuron", x, "auc"], ...points.map((p) => [N.nameOf(p.i), p.x, p.y])],
        options: () => ({
          x: { label: x, labelAnchor: "center", labelArrow: false, nice: true },
          y: { label: "AUC", labelArrow: false, grid: true, nice: true },
          marks: [
            Plot.dot(points, { x: "x", y: "y", r: 2.5, fill: "var(--in)", fillOpacity: 0.5 }),
            charts.tip(points, {
              x: "x",
              y: "y",
              title: (p) => `${N.nameOf(p.i)}\n${formulas.textOf(p.i)}\nAUC ${p.y.toFixed(3)}`,
            }),
          ],
        }),
      });
    place.append(frequent());
    return place;
  }
  // The concepts in most formulas, positive and negated uses apart.
  function frequent() {
    const uses = N.uses(),
      listed = N.data.concepts
        .map((name, k) => ({ name: name, k: k, yes: uses.yes[k], no: uses.no[k] }))
        .filter((one) => one.yes + one.no)
        .sort((a, b) => b.yes + b.no - a.yes - a.no || a.k - b.k)
        .slice(0, 7);
    const most = listed.length ? listed[0].yes + listed[0].no : 1;
    return h(
      "figure",
      { class: "frequent" },
      h(
        "figcaption",
        {},
        ui.word("uses", "Most frequent concepts"),
        h("a", { href: "#/concepts", class: "small" }, "all"),
      ),
      h(
        "ul",
        {},
        listed.map((one) =>
          h(
            "li",
            {},
            h("a", { href: N.conceptLink(one.name) }, h("bdi", {}, N.data.named[one.k])),
            h(
              "span",
              { class: "split", title: `${one.yes} positive, ${one.no} negated` },
              h("span", { class: "yes", style: `width:${(100 * one.yes) / most}%` }),
              h("span", { class: "no", style: `width:${(100 * one.no) / most}%` }),
            ),
            h("span", { class: "quiet small" }, one.no ? `${one.yes} + ${one.no} not` : one.yes),
          ),
        ),
      ),
    );
  }
  function meanDepth(k) {
    const found = [...N.data.literals[k].yes, ...N.data.literals[k].no]
      .map((c) => N.data.depth[c])
      .filter((d) => d !== null);
    return found.length ? found.reduce((a, b) => a + b) / found.length : null;
  }

  // ---- a neuron as a card, and as a row
  function card(i) {
    const c = N.data.columns,
      held = c.auc_heldout?.[i];
    return h(
      "li",
      { class: "card", "data-to": N.link(i) },
      h("div", { class: "head" }, h("a", { href: N.link(i) }, h("bdi", {}, N.nameOf(i))), ui.sign(i)),
      N.data.samples ? ui.tops(i, 6) : null,
      h("p", { class: "what" }, formulas.ofLabel(i)),
      c.auc[i] === null
        ? null
        : h(
            "div",
            { class: "measure" },
            ui.bar(i),
            h(
              "span",
              { class: "small" },
              c.value && c.value[i] !== null ? [h("b", {}, N.textOf("value", i)), ` ${scored(i)}, `] : null,
              h("b", {}, N.textOf("auc", i)),
              held === null || held === undefined
                ? " AUC"
                : [" AUC, ", h("b", {}, N.textOf("auc_heldout", i)), " held out"],
            ),
          ),
    );
  }
  function scored(i) {
    return N.textOf("score", i).replaceAll("_", " ");
  }
  function cell(column, i) {
    const name = column.name;
    if (name === "neuron")
      return h(
        "td",
        { class: "name" },
        h("a", { href: N.link(i) }, h("bdi", {}, N.data.columns.neuron[i]), N.isLow(i) ? " low" : ""),
      );
    if (name === "layer") return h("td", { class: "name" }, h("bdi", {}, N.layerOf(i)));
    if (name === "formula") return h("td", { class: "formula" }, formulas.ofLabel(i));
    if (name === "auc") return h("td", { class: "number auc" }, ui.bar(i), h("span", {}, N.textOf(name, i)));
    if (!N.numeric(column)) return h("td", { class: "name" }, h("bdi", {}, N.textOf(name, i)));
    return h("td", { class: "number" }, N.textOf(name, i));
  }
  function row(columns, i) {
    return h(
      "tr",
      { class: "leads", "data-to": N.link(i) },
      h("td", { class: "state" }, ui.sign(i)),
      columns.flatMap((one) => [
        cell(one, i),
        one.name === "neuron" && N.data.samples ? h("td", { class: "pictures" }, ui.tops(i, 4)) : null,
      ]),
    );
  }

  // ---- the controls
  function select(name, title, options, value, change) {
    return h(
      "label",
      {},
      title,
      h(
        "select",
        { id: name, onchange: (event) => change(event.target.value) },
        options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
      ),
    );
  }
  // An example of the search language from the labels of this page.
  function example() {
    const c = N.data.columns;
    let best = null;
    for (let i = 0; i < N.data.n && i < 2000; i++) {
      const k = c.formula[i];
      if (
        k >= 0 &&
        (best === null || N.data.literals[k].no.size > N.data.literals[best].no.size) &&
        N.data.lengths[k] <= 2
      )
        best = k;
    }
    if (best === null) best = c.formula.find((k) => k >= 0) ?? null;
    const text = best === null ? String(c.neuron[0]) : N.data.spelled[best];
    return text.length > 40 ? `${text.slice(0, 39)}…` : text;
  }

  views[""] = () => {
    let query = N.filters(),
      rows = [],
      drawn = 0,
      columns = [];
    const count = h("span", { id: "count" }),
      clear = h("button", { type: "button", id: "clear", onclick: reset }, "Clear"),
      hint = h("p", { class: "quiet small", id: "hint" }),
      list = h("div", { id: "list" }),
      more = h("button", { type: "button", id: "more" }, "Show more");
    const narrow = innerWidth <= 640;
    const isTable = () => query.get("view") === "table";
    let body = null,
      head = null;

    function change(values) {
      query = N.state(values);
      update();
    }
    function reset() {
      const values = { q: "", layer: "", evidence: "", believed: "" };
      sliders().forEach((one) => {
        values[one.name] = "";
      });
      query = N.state(values);
      controls();
      update();
      form.querySelector("#q").focus();
    }
    function draw(to) {
      const some = document.createDocumentFragment();
      for (; drawn < Math.min(to, rows.length); drawn++)
        some.append(isTable() ? row(columns, rows[drawn]) : card(rows[drawn]));
      body.append(some);
      more.hidden = drawn >= rows.length;
      more.textContent = `Show more of ${(rows.length - drawn).toLocaleString("en")}`;
    }
    function frame() {
      if (!isTable()) {
        body = h("ul", { class: "cards", id: "gallery" });
        list.replaceChildren(body);
        return;
      }
      columns = chosen(query);
      body = h("tbody");
      head = h("tr");
      const said = ofAll(query);
      list.replaceChildren(
        h(
          "div",
          { class: "scroll grid", tabindex: 0, role: "region", "aria-label": "Neurons" },
          h(
            "table",
            { id: "neurons" },
            h("caption", { class: "unseen" }, "Neurons and their formulas"),
            h("thead", {}, head),
            body,
          ),
        ),
        said.length
          ? h("p", { class: "quiet small", id: "of-all" }, `The same for all labels: ${said.join(", ")}.`)
          : "",
      );
    }
    function headings(found) {
      if (!isTable()) return;
      head.replaceChildren(heading("evidence", "", "Evidence", found));
      columns.forEach((one) => {
        head.append(heading(one.name, N.numeric(one) ? "number" : null, one.name, found, one));
        if (one.name === "neuron" && N.data.samples)
          head.append(h("th", { scope: "col", class: "pictures" }, "top samples"));
      });
    }
    function heading(name, kind, text, found, column) {
      const mine = name === found.sort,
        arrow = mine ? (found.falling ? " ▼" : " ▲") : "";
      return h(
        "th",
        {
          scope: "col",
          class: kind,
          "aria-sort": mine ? (found.falling ? "descending" : "ascending") : "none",
        },
        h(
          "button",
          {
            type: "button",
            "data-sort": name,
            "data-word": name,
            onclick: () => {
              const falls = mine ? !found.falling : column && N.numeric(column) && column.kind !== "p";
              change({ sort: (falls ? "-" : "") + name });
              head.querySelector(`[data-sort='${name}']`).focus();
              form.querySelector("#sort").value = query.get("sort");
            },
          },
          text + arrow,
        ),
      );
    }
    function update() {
      const found = filtered(query);
      rows = found.rows;
      drawn = 0;
      frame();
      headings(found);
      draw(isTable() ? ROWS : CARDS);
      const narrowed = rows.length !== N.data.n;
      count.textContent = narrowed ? `${rows.length} of ${N.data.n} neurons` : `${N.data.n} neurons`;
      clear.hidden = !narrowed && !query.get("q");
      const text = query.get("q") || "";
      hint.replaceChildren();
      if (!rows.length) nothing(text);
      else if (text) {
        const others = formulas.others(text).slice(0, 6);
        if (others.length) hint.append(h("span", {}, "Also: ", suggestions(others)));
      }
      N.say(count.textContent);
    }
    function suggestions(listed) {
      return listed.map((one, k) => [
        k ? ", " : "",
        h(
          "button",
          {
            type: "button",
            class: "link",
            onclick: () => {
              form.querySelector("#q").value = one.search;
              change({ q: one.search });
            },
          },
          h("bdi", {}, one.name),
        ),
      ]);
    }
    function nothing(text) {
      const terms = formulas.explain(text),
        lost = terms.filter((term) => !term.n);
      const children = [h("h2", {}, "Nothing found")];
      lost.forEach((term) => {
        children.push(
          h(
            "p",
            {},
            "No label matches ",
            h("bdi", { class: "code" }, term.text),
            term.near.length ? [". Near it: ", suggestions(term.near)] : "",
            ".",
          ),
        );
      });
      if (terms.length && !lost.length)
        children.push(
          h(
            "p",
            {},
            "Each part is found, but not together: ",
            terms.map((term, k) => [k ? ", " : "", h("bdi", { class: "code" }, term.text), ` ${term.n}`]),
            ".",
          ),
        );
      children.push(h("p", {}, h("button", { type: "button", onclick: reset }, "Clear search and filters")));
      list.replaceChildren(h("div", { class: "nothing" }, children));
    }
    more.addEventListener("click", () => {
      draw(drawn + (isTable() ? 5 * ROWS : 3 * CARDS));
    });

    function slider(column) {
      const name = column.name,
        shown = h("output", { for: name }, Number(query.get(name) || 0).toFixed(2));
      return h(
        "label",
        {},
        h("span", {}, `${name} ≥ `, shown),
        h("input", {
          type: "range",
          id: name,
          min: 0,
          max: column.at_least,
          step: 0.01,
          value: query.get(name) || 0,
          oninput: (event) => {
            shown.textContent = Number(event.target.value).toFixed(2);
            change({ [name]: Number(event.target.value) ? event.target.value : "" });
          },
        }),
      );
    }
    const form = h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() });
    function controls() {
      const states = [...new Set(N.data.columns.evidence)].map((k) => N.data.states[k]),
        sortable = [
          ["-auc", "AUC, high first"],
          ["auc", "AUC, low first"],
        ];
      if (N.data.columns.value) sortable.push(["-value", "searched score, high first"]);
      if (N.data.columns.auc_heldout) sortable.push(["-auc_heldout", "held-out AUC, high first"]);
      sortable.push(
        ["evidence", "evidence"],
        ["neuron", "neuron"],
        ["formula", "formula"],
        ["-fraction", "fraction, large first"],
      );
      const sort = query.get("sort") || "-auc";
      if (!sortable.some(([name]) => name === sort)) sortable.push([sort, sort.replace(/^-(.*)/, "$1, falling")]);
      const filtering = ["layer", "evidence", ...sliders().map((one) => one.name)].some((name) => query.get(name));
      const others = [
        N.data.layers.length < 2
          ? ""
          : select(
              "layer",
              "layer",
              [["", "all"], ...N.data.layers.map((name) => [String(name), String(name)])],
              query.get("layer") || "",
              (value) => change({ layer: value }),
            ),
        states.length < 2
          ? ""
          : select(
              "evidence",
              "evidence",
              [
                ["", "all"],
                ...(states.some((one) => ["holds", "partly"].includes(one)) ? [["believable", "believable"]] : []),
                ...N.data.states
                  .filter((one) => states.includes(one))
                  .map((one) => [one, one === "holds" ? "believable, all literals" : ui.signNames[one]]),
              ],
              query.get("evidence") || (query.get("believed") === "1" ? "believable" : ""),
              (value) => change({ evidence: value, believed: "" }),
            ),
        ...sliders().map(slider),
      ];
      form.replaceChildren(
        h(
          "label",
          { class: "search" },
          h("span", {}, "search formulas, neurons, layers"),
          h("input", {
            type: "search",
            id: "q",
            value: query.get("q") || "",
            placeholder: example(),
            autocomplete: "off",
            spellcheck: "false",
            "aria-describedby": "hint",
            oninput: (event) => change({ q: event.target.value }),
          }),
        ),
        select("sort", "sort by", sortable, sort, (value) => change({ sort: value })),
        narrow ? h("details", { class: "more-filters", open: filtering }, h("summary", {}, "Filters"), others) : "",
        ...(narrow ? [] : others),
      );
    }
    function views_() {
      const button = (name, text) =>
        h(
          "button",
          {
            type: "button",
            id: `as-${name}`,
            "aria-pressed": String((name === "table") === isTable()),
            onclick: () => {
              change({ view: name === "table" ? "table" : "" });
              tools.replaceChildren(...views_());
              tools.querySelector(`#as-${name}`).focus();
            },
          },
          text,
        );
      const shownColumns = new Set(chosen(query).map((one) => one.name));
      return [
        h(
          "span",
          { class: "switch", role: "group", "aria-label": "View" },
          button("gallery", "Gallery"),
          button("table", "Table"),
        ),
        isTable()
          ? ui.menu(
              "Columns",
              "Choose columns",
              N.columns()
                .filter((one) => one.name !== "neuron")
                .map((one) =>
                  h(
                    "label",
                    { class: "check" },
                    h("input", {
                      type: "checkbox",
                      checked: shownColumns.has(one.name),
                      onchange: (event) => {
                        if (event.target.checked) shownColumns.add(one.name);
                        else shownColumns.delete(one.name);
                        change({ columns: [...shownColumns].join(",") });
                      },
                    }),
                    one.name,
                    h("span", { class: "quiet small" }, folded.get(one.name) ? "the same for all" : ""),
                  ),
                ),
            )
          : "",
        h("button", { type: "button", id: "csv", onclick: save }, "Save as CSV"),
      ];
    }
    // What is found, in order, with the columns of the table.
    function save() {
      const shown = chosen(query),
        exact = (one, i) => {
          const v =
            one.name === "formula" ? (N.data.columns.formula[i] < 0 ? "" : formulas.textOf(i)) : N.value(one.name, i);
          if (one.name === "layer") return N.layerOf(i);
          return one.kind === "p" && v === 0 ? N.textOf(one.name, i) : v;
        };
      ui.download(
        "neurons.csv",
        ui.csv([
          [...shown.map((one) => one.name), "evidence"],
          ...rows.map((i) => [...shown.map((one) => exact(one, i)), ui.signNames[N.stateOf(i)]]),
        ]),
        "text/csv",
      );
    }
    const tools = h("div", { class: "tools" });
    controls();
    tools.replaceChildren(...views_());
    const charted = h("section", { "aria-label": "Summary" }); // on a phone below the neurons, which come first
    N.show(
      N.data.title,
      [
        h(
          "section",
          { class: "hero" },
          h("h1", {}, N.data.title),
          h("p", { class: "quiet", id: "heading" }, N.data.heading.join(" · ")),
          verdict(),
        ),
        narrow ? null : charted,
        form,
        h("div", { class: "bar-of-tools" }, h("p", { class: "quiet" }, count, " ", clear), tools),
        hint,
        list,
        h("p", {}, more),
        narrow ? charted : null,
      ],
      "",
    );
    update();
    document.documentElement.dataset.ready = "1";
    // After the neurons: they come first.
    setTimeout(() => {
      if (charted.isConnected) charted.append(summary());
    });
  };

  // How many labels have each concept in their formula, positive and negated.
  let counted = null;
  N.uses = () => {
    if (counted) return counted;
    const k = N.data.concepts.length,
      per = new Map();
    counted = { yes: new Array(k).fill(0), no: new Array(k).fill(0) };
    N.data.columns.formula.forEach((f) => {
      if (f >= 0) per.set(f, (per.get(f) || 0) + 1);
    });
    per.forEach((n, f) => {
      N.data.literals[f].yes.forEach((c) => {
        counted.yes[c] += n;
      });
      N.data.literals[f].no.forEach((c) => {
        counted.no[c] += n;
      });
    });
    return counted;
  };
})();
