// The page: loads pieces of data as scripts, builds elements, shows the table of neurons, and routes to other views.
"use strict";

// Create an element; texts become text nodes, so names may contain markup. Pictures may be in the page (h.files).
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  Object.keys(attributes || {}).forEach((name) => {
    const value = attributes[name];
    if (value === null || value === undefined || value === false) return;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : (name === "src" && h.files?.[value]) || value);
  });
  add(element, children);
  return element;
}
function add(element, child) {
  if (child === null || child === undefined || child === false) return;
  if (Array.isArray(child))
    child.forEach((one) => {
      add(element, one);
    });
  else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
}

// biome-ignore lint/correctness/noUnusedVariables: the other scripts and the pieces of data use it
const neuronym = (() => {
  const waiting = {},
    loaded = {};
  let data = null;

  function piece(name, value) {
    loaded[name] = value;
    if (name === "index") begin(value);
    (waiting[name] || []).forEach((then) => {
      then(value);
    });
    delete waiting[name];
  }

  function load(name, then) {
    if (loaded[name]) return then(loaded[name]);
    const requested = location.hash,
      ifStillHere = (value) => {
        if (location.hash === requested) then(value);
      };
    if (waiting[name]) return waiting[name].push(ifStillHere);
    waiting[name] = [ifStillHere];
    const script = h("script", { src: `data/${name}.js` });
    script.onerror = () => {
      delete waiting[name];
      script.remove();
      show("Not found", [h("p", {}, `A file of this report is missing: data/${name}.js`)]);
    };
    document.head.append(script);
  }

  // ---- the data of the table
  function begin(index) {
    data = index;
    const n = index.n;
    index.formulas = index.formulas.map(parsed);
    Object.keys(index.columns).forEach((name) => {
      index.columns[name] = unpacked(index.columns[name]);
    });
    data.key = new Map();
    for (let i = 0; i < n; i++) data.key.set(key(i), i);
    data.title = index.title;
    data.named = index.readable || index.concepts;
    data.place = new Map(index.concepts.map((name, c) => [encoded(name), c]));
    data.words = index.formulas.map((f) => spell(f, 0));
    data.literals = index.formulas.map((f) => {
      const found = { yes: [], no: [] };
      literals(f, false, found);
      return found;
    });
    data.text = index.formulas.map((_f, k) => {
      const found = data.literals[k];
      const lines = (listed) => `\n${listed.map((c) => fold(data.named[c])).join("\n")}\n`;
      return { yes: lines(found.yes), no: lines(found.no) };
    });
    data.neuronText = new Array(n);
    for (let j = 0; j < n; j++)
      data.neuronText[j] = fold((layerOf(j) === null ? "" : `${layerOf(j)} `) + index.columns.neuron[j]);
    data.length = index.formulas.map(size);
    navigation();
    route();
  }
  // Parse a formula with numbers for concepts, such as 3&~(1|2).
  function parsed(text) {
    let at = 0;
    function joined(sign, next) {
      const parts = [next()];
      while (text[at] === sign) {
        at++;
        parts.push(next());
      }
      return parts.length > 1 ? [sign].concat(parts) : parts[0];
    }
    function either() {
      return joined("|", both);
    }
    function both() {
      return joined("&", one);
    }
    function one() {
      if (text[at] === "~") {
        at++;
        return ["~", one()];
      }
      if (text[at] === "(") {
        at++;
        const inner = either();
        at++;
        return inner;
      }
      const start = at;
      while (text[at] >= "0" && text[at] <= "9") at++;
      return Number(text.slice(start, at));
    }
    return either();
  }
  // Unpack a column: runs, codes of few values, or decimals as integers.
  function unpacked(column) {
    if (column.plain) return column.plain;
    if (column.scaled) return column.scaled.map((x) => (x === null ? null : x / 10000));
    if (column.codes) return column.codes.map((code) => column.values[code]);
    const found = [];
    column.runs.forEach((run) => {
      for (let k = 0; k < run[1]; k++) found.push(run[0] + column.step * k);
    });
    return found;
  }
  function fold(text) {
    return String(text).toLowerCase().replace(/_/g, " ");
  }
  function size(f) {
    return Array.isArray(f) ? f.slice(1).reduce((sum, one) => sum + size(one), 0) : 1;
  }
  function literals(f, negated, found) {
    if (!Array.isArray(f)) return (negated ? found.no : found.yes).push(f);
    f.slice(1).forEach((one) => {
      literals(one, negated !== (f[0] === "~"), found);
    });
  }
  const BINDING = { "|": 0, "&": 1, "~": 2 };
  function quoted(name) {
    return /^[^\s&|~()"]+$/.test(name) ? name : `"${name.replace(/"/g, '""')}"`;
  }
  function spell(f, outer) {
    if (!Array.isArray(f)) return quoted(data.named[f]);
    if (f[0] === "~") return `~${spell(f[1], 2)}`;
    const text = f
      .slice(1)
      .map((one) => spell(one, BINDING[f[0]] + 1))
      .join(` ${f[0]} `);
    return BINDING[f[0]] < outer ? `(${text})` : text;
  }
  function layerOf(i) {
    return data.layers[data.columns.layer[i]];
  }
  function formulaOf(i) {
    const k = data.columns.formula[i];
    return k < 0 ? `(${data.reasons[i] || "no formula"})` : data.words[k];
  }
  function key(i) {
    const low = data.columns.low?.[i] ? "/low" : "";
    const layer = encoded(layerOf(i) ?? "-");
    return `${layer}/${encoded(data.columns.neuron[i])}${low}`;
  }
  function link(i) {
    return `#/neuron/${key(i)}`;
  }
  function nameOf(i) {
    const low = data.columns.low?.[i] ? ", low" : "";
    return `${layerOf(i) ?? "neuron"} ${data.columns.neuron[i]}${low}`;
  }
  // A text for an address; half of a surrogate pair, which encodeURIComponent refuses, is written as its escape.
  function encoded(text) {
    return encodeURIComponent(
      String(text).replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`),
    );
  }
  function conceptLink(name) {
    return `#/concept/${encoded(name)}`;
  }

  // ---- state in the URL
  function parts() {
    const text = location.hash.replace(/^#\/?/, ""),
      cut = text.indexOf("?");
    const path = (cut < 0 ? text : text.slice(0, cut))
      .split("/")
      .filter(Boolean)
      .map((one) => {
        try {
          return decodeURIComponent(one);
        } catch {
          return one;
        }
      });
    return { path: path, query: new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1)) };
  }
  let remembered = recalled();
  function recalled() {
    try {
      return sessionStorage.getItem(`filters ${location.pathname}`) || "";
    } catch {
      return "";
    }
  }
  function remember(text) {
    remembered = text;
    try {
      sessionStorage.setItem(`filters ${location.pathname}`, text);
    } catch {
      /* the filters are lost when the page is reloaded */
    }
  }
  function state(changes) {
    const query = parts().query;
    Object.keys(changes).forEach((name) => {
      if (changes[name] === "" || changes[name] === null) query.delete(name);
      else query.set(name, changes[name]);
    });
    remember(query.toString());
    history.replaceState(null, "", `#/${remembered ? `?${remembered}` : ""}`);
  }

  function navigation() {
    const links = [
      ["", "Neurons"],
      ["concepts", "Concepts"],
    ];
    if (data.layers.length > 1 || data.sections.includes("baselines")) links.push(["layers", "Layers"]);
    if (data.sections.includes("compared")) links.push(["compare", "Comparison"]);
    if (data.sections.includes("circuits")) links.push(["circuits", "Circuits"]);
    if (data.sections.includes("findings")) links.push(["spurious", "Spurious"]);
    const place = document.getElementById("nav");
    place.replaceChildren();
    links.forEach((one) => {
      place.append(h("li", {}, h("a", { href: `#/${one[0]}`, "data-section": one[0] }, one[1])));
    });
  }

  // ---- pages
  function show(title, children, section) {
    const main = document.getElementById("main");
    main.replaceChildren();
    children.forEach((child) => {
      add(main, child);
    });
    document.title = title === data.title ? title : `${title} · ${data.title}`;
    document.querySelectorAll("#nav a").forEach((a) => {
      if (a.dataset.section === section) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    });
    return main;
  }
  let first = true;
  function route() {
    if (!data) return;
    const at = parts(),
      name = at.path[0] || "";
    const view = name === "" ? overview : views[name];
    if (!view) show("Not found", [h("h1", {}, "Not found"), h("p", {}, h("a", { href: "#/" }, "All neurons"))]);
    else view(at.path.slice(1), at.query);
    if (!first) {
      document.getElementById("main").focus({ preventScroll: true });
      if (name !== "") window.scrollTo(0, 0);
    }
    first = false;
  }
  window.addEventListener("hashchange", route);

  // ---- the table
  const STEP = 100;
  function value(name, i) {
    if (name === "formula") return formulaOf(i).toLowerCase();
    if (name === "layer") return data.columns.layer[i];
    if (name === "length") {
      const k = data.columns.formula[i];
      return k < 0 ? null : data.length[k];
    }
    return data.columns[name][i];
  }
  function shownColumns() {
    return data.schema.filter(
      (one) =>
        one.page &&
        (one.name === "layer"
          ? data.layers.length > 1 || data.layers[0] !== null
          : one.name === "length" || one.name in data.columns),
    );
  }
  function numeric(column) {
    return ["number", "p", "whole"].includes(column.kind);
  }
  function terms(text) {
    const found = [];
    for (const match of text.matchAll(/(~?)"([^"]*)"|(~?)(\S+)/g)) {
      const whole = match[2] !== undefined,
        word = fold(whole ? match[2] : match[4]);
      if (word) found.push({ no: (match[1] || match[3]) === "~", word: whole ? `\n${word}\n` : word });
    }
    return found;
  }
  // The columns with a filter by minimum value.
  function filters() {
    return shownColumns().filter((one) => one.at_least !== undefined && one.name in data.columns);
  }
  function filtered(query) {
    const words = terms(query.get("q") || "");
    const minimums = filters()
      .map((one) => [data.columns[one.name], Number(query.get(one.name) || 0)])
      .filter((one) => one[1] > 0);
    const layer = query.get("layer"),
      significant = query.get("believed") === "1",
      c = data.columns;
    const matches = data.text.map((one) => words.map((term) => (term.no ? one.no : one.yes).includes(term.word)));
    const rows = [];
    for (let i = 0; i < data.n; i++) {
      if (layer !== null && String(layerOf(i)) !== layer) continue;
      if (!minimums.every((one) => one[0][i] !== null && one[0][i] >= one[1])) continue;
      if (significant && c.q && !believed(i)) continue;
      let k = c.formula[i],
        fits = true;
      for (let t = 0; t < words.length && fits; t++) {
        fits = (k >= 0 && matches[k][t]) || (!words[t].no && data.neuronText[i].includes(words[t].word));
      }
      if (fits) rows.push(i);
    }
    let sort = query.get("sort") || "-auc",
      falling = sort[0] === "-",
      name = falling ? sort.slice(1) : sort;
    if (!shownColumns().some((one) => one.name === name)) {
      name = "auc";
      falling = true;
    }
    const values = new Array(data.n);
    rows.forEach((i) => {
      values[i] = value(name, i);
    });
    rows.sort((a, b) => {
      let x = values[a],
        y = values[b];
      if (x === y) return a - b;
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      if (typeof x !== typeof y) {
        x = String(x);
        y = String(y);
      }
      return (x < y ? -1 : 1) * (falling ? -1 : 1);
    });
    return { rows: rows, sort: name, falling: falling };
  }

  function cell(column, i) {
    const name = column.name;
    if (name === "neuron")
      return h(
        "td",
        { class: "name" },
        h("a", { href: link(i) }, h("bdi", {}, data.columns.neuron[i]), data.columns.low?.[i] ? " low" : ""),
      );
    if (name === "layer") return h("td", { class: "name" }, h("bdi", {}, layerOf(i)));
    if (name === "formula") return h("td", { class: "formula" }, h("bdi", {}, formulaOf(i)));
    if (!numeric(column)) return h("td", { class: "name" }, h("bdi", {}, value(name, i)));
    return h("td", { class: "number" }, textOf(name, i));
  }
  // The text of a number of a label: a p that underflows has its own text, and an approximate one has a sign.
  function textOf(name, i) {
    const texts = data.columns[`${name}_text`],
      sign = data.columns[`${name}_sign`];
    return texts?.[i] ? texts[i] : (sign ? sign[i] : "") + numberText(name, value(name, i));
  }
  // Whether a label is significant: a neuron that does the opposite of its formula never is.
  function believed(i) {
    const c = data.columns;
    if (c.q[i] === null || c.q[i] > 0.05) return false;
    return ![c.auc, c.auc_heldout].some((of) => of && of[i] !== null && of[i] < 0.5);
  }
  function numberText(name, v) {
    if (v === null || v === undefined) return "";
    if (typeof v !== "number") return String(v);
    if (/^(p|q|p_.*)$/.test(name) && v === 0) return "< 1e-323";
    const column = data.schema.find((one) => one.name === name);
    if (column?.form) return formatted(column.form, v);
    if (Number.isInteger(v) && ["rank", "class", "neuron", "pairs"].includes(name)) return String(v);
    if (/^(p_.*|log10.*)$/.test(name)) return formatted(".2g", v);
    return Math.abs(v) >= 100 ? v.toFixed(1) : v.toFixed(3);
  }
  // Format a number by a Python format: d, .4f or .2g.
  function formatted(form, v) {
    const digits = Number(form.slice(1, -1));
    if (form.endsWith("d")) return String(v);
    if (form.endsWith("f")) return v.toFixed(digits);
    const parts = v.toExponential(digits - 1).split("e"),
      power = Number(parts[1]);
    const plain = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
    if (power >= -4 && power < digits) return plain(v.toFixed(digits - 1 - power));
    return `${plain(parts[0])}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }

  function overview(_, query) {
    if ([...query.keys()].length) remember(query.toString());
    else if (remembered) {
      query = new URLSearchParams(remembered);
      history.replaceState(null, "", `#/?${remembered}`);
    }
    const body = h("tbody"),
      head = h("tr"),
      count = h("p", { class: "quiet", id: "count" }),
      more = h("button", { type: "button" }, "Show more");
    let rows = [],
      drawnRows = 0,
      columns = shownColumns();

    function draw(to) {
      const some = document.createDocumentFragment();
      for (; drawnRows < Math.min(to, rows.length); drawnRows++) {
        const i = rows[drawnRows];
        some.append(
          h(
            "tr",
            {},
            columns.map((one) => cell(one, i)),
          ),
        );
      }
      body.append(some);
      more.hidden = drawnRows >= rows.length;
    }
    function headings(found) {
      head.replaceChildren();
      columns.forEach((one) => {
        const name = one.name;
        const mine = name === found.sort,
          arrow = mine ? (found.falling ? " ▼" : " ▲") : "";
        head.append(
          h(
            "th",
            {
              scope: "col",
              class: numeric(one) ? "number" : null,
              "aria-sort": mine ? (found.falling ? "descending" : "ascending") : "none",
            },
            h(
              "button",
              {
                type: "button",
                "data-sort": name,
                title: one.about,
                onclick: () => {
                  const falls = mine ? !found.falling : numeric(one) && one.kind !== "p";
                  state({ sort: (falls ? "-" : "") + name });
                  update();
                  head.querySelector(`[data-sort='${name}']`).focus();
                },
              },
              name + arrow,
            ),
          ),
        );
      });
    }
    function update() {
      const found = filtered(parts().query);
      rows = found.rows;
      drawnRows = 0;
      body.replaceChildren();
      headings(found);
      draw(STEP);
      count.textContent = rows.length === data.n ? `${data.n} neurons` : `${rows.length} of ${data.n} neurons`;
      document.getElementById("said").textContent = count.textContent;
    }
    more.addEventListener("click", () => {
      draw(drawnRows + 5 * STEP);
    });

    function slider(column) {
      const name = column.name,
        max = column.at_least;
      const shown = h("output", { for: name }, Number(query.get(name) || 0).toFixed(2));
      return h(
        "label",
        {},
        h("span", {}, `${name} ≥ `, shown),
        h("input", {
          type: "range",
          id: name,
          min: 0,
          max: max,
          step: 0.01,
          value: query.get(name) || 0,
          oninput: (event) => {
            shown.textContent = Number(event.target.value).toFixed(2);
            state({ [name]: Number(event.target.value) ? event.target.value : "" });
            update();
          },
        }),
      );
    }
    const search = h("input", {
      type: "search",
      id: "q",
      value: query.get("q") || "",
      placeholder: "dog ~grass",
      autocomplete: "off",
      oninput: (event) => {
        state({ q: event.target.value });
        update();
      },
    });
    const layers =
      data.layers.length < 2
        ? null
        : h(
            "label",
            {},
            "layer",
            h(
              "select",
              {
                id: "layer",
                onchange: (event) => {
                  state({ layer: event.target.value });
                  update();
                },
              },
              h("option", { value: "" }, "all"),
              data.layers.map((name) =>
                h("option", { value: String(name), selected: query.get("layer") === String(name) }, String(name)),
              ),
            ),
          );
    const significance = !data.columns.q
      ? null
      : h(
          "label",
          {},
          "significance",
          h(
            "select",
            {
              id: "believed",
              onchange: (event) => {
                state({ believed: event.target.value });
                update();
              },
            },
            h("option", { value: "" }, "all"),
            h("option", { value: "1", selected: query.get("believed") === "1" }, "q ≤ 0.05"),
          ),
        );
    show(
      data.title,
      [
        h("h1", {}, data.title),
        h(
          "form",
          {
            class: "filters",
            role: "search",
            onsubmit: (event) => {
              event.preventDefault();
            },
          },
          h("label", {}, "search concepts or neurons", search),
          filters().map(slider),
          layers,
          significance,
        ),
        count,
        h(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": "Neurons" },
          h(
            "table",
            { id: "neurons" },
            h("caption", { class: "unseen" }, "Neurons and their formulas"),
            h("thead", {}, head),
            body,
          ),
        ),
        h("p", {}, more),
        h("section", { "aria-label": "Summary" }, h("h2", {}, "Summary of all neurons"), summary()),
      ],
      "",
    );
    update();
    document.documentElement.dataset.ready = "1";
  }

  function summary() {
    const c = data.columns,
      place = h("div", { class: "charts" });
    const known = c.auc.filter((x) => x !== null);
    const bins = 50,
      counts = new Array(bins).fill(0),
      x = counts.map((_, b) => (b + 0.5) / bins);
    known.forEach((a) => {
      counts[Math.min(bins - 1, Math.floor(a * bins))]++;
    });
    const sorted = known.slice().sort((a, b) => a - b),
      middle = sorted.length ? sorted[sorted.length >> 1] : 0;
    charts.plot(
      place,
      "AUC of the formulas",
      `Histogram of AUC: median ${middle.toFixed(3)} over ${known.length} neurons`,
      x,
      [{ label: "neurons", y: counts, colour: "in", fill: true, bars: true, width: 0 }],
      { x: "AUC", y: "neurons", xrange: [0.4, 1.02] },
    );
    const byDepth = data.depth && c.formula.some((k) => k >= 0);
    let first = [];
    for (let i = 0; i < data.n; i++) {
      if (c.formula[i] < 0) continue;
      const depth = byDepth ? meanDepth(c.formula[i]) : c.fraction[i];
      if (depth !== null) first.push([depth, c.auc[i]]);
    }
    first.sort((a, b) => a[0] - b[0]);
    if (first.length > 4000) first = first.filter((_, i) => i % Math.ceil(first.length / 4000) === 0);
    const across = byDepth
      ? "the mean depth of the formula's concepts in the hierarchy"
      : "the fraction of samples inside the formula";
    if (first.length)
      charts.plot(
        place,
        byDepth ? "AUC by depth of the concepts" : "AUC by fraction",
        `Scatter plot of AUC against ${across}`,
        first.map((p) => p[0]),
        [
          {
            label: "neuron",
            y: first.map((p) => p[1]),
            colour: "in",
            alone: true,
            points: { show: true, size: 4, width: 0, fill: `${charts.colour("in")}99` },
          },
        ],
        { x: byDepth ? "depth: steps below the top" : "fraction of samples", y: "AUC" },
      );
    let significance = null;
    if (c.q) {
      const n = c.q.filter((_, i) => believed(i)).length;
      const share = `${n} of ${data.n} labels (${Math.round((100 * n) / data.n)}%)`;
      const what = "q ≤ 0.05, which accounts for the search and for the number of labels.";
      significance = h("p", {}, `${share} are significant: ${what}`);
    } else
      significance = h(
        "p",
        { class: "quiet" },
        "Significance was not tested: label with permutations to see which labels to believe.",
      );
    const uses = new Map();
    data.columns.formula.forEach((k) => {
      if (k >= 0)
        new Set(data.literals[k].yes).forEach((name) => {
          uses.set(name, (uses.get(name) || 0) + 1);
        });
    });
    const frequent = [...uses].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 15);
    place.append(
      h(
        "div",
        {},
        h("h3", {}, "Most frequent concepts"),
        significance,
        h(
          "ul",
          { class: "plain small" },
          frequent.map((one) =>
            h(
              "li",
              {},
              h("a", { href: conceptLink(data.concepts[one[0]]) }, h("bdi", {}, data.named[one[0]])),
              ` ${one[1]}`,
            ),
          ),
        ),
      ),
    );
    return place;
  }
  function meanDepth(k) {
    const found = [];
    (function walk(f) {
      if (Array.isArray(f)) f.slice(1).forEach(walk);
      else if (data.depth[f] !== null) found.push(data.depth[f]);
    })(data.formulas[k]);
    return found.length ? found.reduce((a, b) => a + b) / found.length : null;
  }

  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash of the URL is the view
    document.getElementById("main").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const box = document.getElementById("q");
      if (box) {
        event.preventDefault();
        box.focus();
      } else location.hash = "#/";
    }
    if (event.target.closest(".scroll")) return; // here, arrow keys scroll a wide table
    const next = event.key === "ArrowRight" ? "next" : event.key === "ArrowLeft" ? "previous" : null;
    const to = next && document.querySelector(`a[rel=${next === "next" ? "next" : "prev"}]`);
    if (to) to.click();
  });

  return {
    piece: piece,
    load: load,
    show: show,
    link: link,
    nameOf: nameOf,
    formulaOf: formulaOf,
    conceptLink: conceptLink,
    encoded: encoded,
    numberText: numberText,
    textOf: textOf,
    believed: believed,
    aboutOf: (name) => data.schema.find((one) => one.name === name)?.about,
    numeric: numeric,
    shownColumns: shownColumns,
    key: key,
    layerOf: layerOf,
    at: (view, path) => {
      const now = parts().path;
      return now[0] === view && now.slice(1, 4).map(encoded).join("/") === path;
    },
    rows: () => filtered(new URLSearchParams(remembered)).rows,
    get data() {
      return data;
    },
  };
})();
const views = Object.create(null); // so that it has no names but those of views
