// The page: builds elements, loads pieces of data as scripts, keeps state in the address, and routes to the views.
"use strict";

// Create an element; texts become text nodes, so names may contain markup. In a report of one file, h.files has its
// pictures and the libraries that come with it.
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

const views = Object.create(null); // a function for each first part of an address; it has no names but those of views

// biome-ignore lint/correctness/noUnusedVariables: the other scripts and the pieces of data use it
const neuronym = (() => {
  const pieces = new Map();
  let data = null;

  // ---- pieces of data, which are scripts: a page opened from disk can load nothing else
  const arrived = new Map();
  function piece(name, value) {
    if (name === "index") begin(value);
    const wanted = arrived.get(name);
    if (wanted) wanted(value);
    else pieces.set(name, Promise.resolve(value)); // of a report of one file, where all are there at once
  }
  // A promise of a piece of data.
  function load(name) {
    if (!pieces.has(name))
      pieces.set(
        name,
        new Promise((resolve, reject) => {
          arrived.set(name, resolve);
          script(`data/${name}.js`).catch((error) => {
            pieces.delete(name);
            reject(error);
          });
        }),
      );
    return pieces.get(name);
  }
  const scripts = new Map();
  // A promise that a script has run.
  function script(path) {
    if (h.files && path in h.files) return Promise.resolve();
    if (!scripts.has(path))
      scripts.set(
        path,
        new Promise((resolve, reject) => {
          const element = h("script", { src: path });
          element.onload = resolve;
          element.onerror = () => {
            scripts.delete(path);
            element.remove();
            reject(new Error(path));
          };
          document.head.append(element);
        }),
      );
    return scripts.get(path);
  }
  // Load pieces and show them, unless the reader has gone on to another view.
  let visit = 0;
  function open(names, then) {
    const now = visit;
    Promise.all(names.map(load)).then(
      (values) => {
        if (visit === now) then(...values);
      },
      (error) => {
        if (visit === now) notFound("Not found", `A file of this report is missing: ${error.message}`);
      },
    );
  }

  // ---- the table of all neurons
  function begin(index) {
    data = index;
    Object.keys(index.columns).forEach((name) => {
      index.columns[name] = unpacked(index.columns[name]);
    });
    data.named = index.readable || index.concepts;
    data.key = new Map();
    for (let i = 0; i < index.n; i++) data.key.set(key(i), i);
    data.place = new Map(index.concepts.map((name, c) => [encoded(name), c]));
    data.states = index.evidence.map((one) => one[0]);
    formulas.prepare(data);
    header();
    route();
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
  function layerOf(i) {
    return data.layers[data.columns.layer[i]];
  }
  function isLow(i) {
    return Boolean(data.columns.low?.[i]);
  }
  function key(i) {
    const layer = encoded(layerOf(i) ?? "-");
    return `${layer}/${encoded(data.columns.neuron[i])}${isLow(i) ? "/low" : ""}`;
  }
  function link(i) {
    return `#/neuron/${key(i)}`;
  }
  function nameOf(i) {
    return `${layerOf(i) ?? "neuron"} ${data.columns.neuron[i]}${isLow(i) ? ", low" : ""}`;
  }
  // The label of a neuron; undefined if the page has none.
  function find(layer, neuron) {
    return data.key.get(`${encoded(layer ?? "-")}/${encoded(neuron)}`);
  }
  function stateOf(i) {
    return data.states[data.columns.evidence[i]];
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
  function readable(name) {
    const c = data.place.get(encoded(name));
    return c === undefined ? name : data.named[c];
  }

  // ---- numbers
  function value(name, i) {
    if (name === "formula") return formulas.textOf(i).toLowerCase();
    if (name === "length") return formulas.lengthOf(i);
    if (name === "f") return null;
    return data.columns[name][i];
  }
  function columns() {
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
  // The text of a number of a label: a p that underflows has its own text, and an approximate one has a sign.
  function textOf(name, i) {
    const texts = data.columns[`${name}_text`],
      sign = data.columns[`${name}_sign`];
    return texts?.[i] ? texts[i] : (sign ? sign[i] : "") + numberText(name, value(name, i));
  }
  function numberText(name, v) {
    if (v === null || v === undefined) return "";
    if (typeof v !== "number") return String(v);
    if (/^(p|q|p_.*)$/.test(name) && v === 0) return "< 1e-323";
    const column = data.schema.find((one) => one.name === name);
    if (column?.form) return formatted(column.form, v);
    if (Number.isInteger(v) && ["rank", "class", "neuron", "pairs", "count"].includes(name)) return String(v);
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
  function percent(x) {
    return x === null || x === undefined ? "" : `${(100 * x).toFixed(x < 0.1 && x > 0 ? 2 : 1)}%`;
  }
  function counted(n, noun, nouns) {
    return `${n.toLocaleString("en")} ${n === 1 ? noun : nouns || `${noun}s`}`;
  }

  // ---- state in the address, and what the reader prefers
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
  // Storage may be refused, as in the sandbox of a notebook: then nothing is kept beyond this page.
  function stored(storage, name) {
    try {
      return window[storage].getItem(name);
    } catch {
      return null;
    }
  }
  function store(storage, name, text) {
    try {
      window[storage].setItem(name, text);
    } catch {
      /* kept by this page alone */
    }
  }
  let remembered = stored("sessionStorage", `filters ${location.pathname}`) || "";
  function remember(text) {
    remembered = text;
    store("sessionStorage", `filters ${location.pathname}`, text);
  }
  // The filters of the neurons, from the address or as they were before another view.
  function filters() {
    const at = parts();
    if (at.path.length === 0 && [...at.query.keys()].length) remember(at.query.toString());
    else if (at.path.length === 0 && remembered) history.replaceState(null, "", `#/?${remembered}`);
    return new URLSearchParams(remembered);
  }
  function state(changes) {
    const query = new URLSearchParams(remembered);
    Object.keys(changes).forEach((name) => {
      if (changes[name] === "" || changes[name] === null) query.delete(name);
      else query.set(name, changes[name]);
    });
    remember(query.toString());
    history.replaceState(null, "", `#/${remembered ? `?${remembered}` : ""}`);
    return query;
  }

  const THEMES = ["auto", "light", "dark"];
  let theme = stored("localStorage", "neuronym theme");
  function dress(name) {
    theme = THEMES.includes(name) ? name : "auto";
    document.documentElement.dataset.theme = theme;
    store("localStorage", "neuronym theme", theme);
  }
  dress(theme);

  function header() {
    const links = [
      ["", "Neurons"],
      ["concepts", "Concepts"],
    ];
    if (data.samples) links.push(["samples", "Samples"]);
    if (data.layers.length > 1 || data.sections.includes("baselines")) links.push(["layers", "Layers"]);
    if (data.sections.includes("compared")) links.push(["compare", "Comparison"]);
    if (data.sections.includes("methods")) links.push(["methods", "Methods"]);
    if (data.sections.includes("circuits")) links.push(["circuits", "Circuits"]);
    if (data.sections.includes("findings")) links.push(["spurious", "Spurious"]);
    links.push(["words", "Words"]);
    document
      .getElementById("nav")
      .replaceChildren(
        ...links.map((one) => h("li", {}, h("a", { href: `#/${one[0]}`, "data-section": one[0] }, one[1]))),
      );
    const button = h("button", { type: "button", id: "theme", onclick: change });
    function say() {
      button.textContent = `Theme: ${theme}`;
    }
    function change() {
      dress(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
      say();
    }
    say();
    document.getElementById("tools").replaceChildren(button);
  }

  // ---- views
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
  function notFound(title, text) {
    show(title, [
      h("h1", {}, title),
      text ? h("p", {}, text) : null,
      h("p", {}, h("a", { href: "#/" }, "All neurons")),
    ]);
  }
  let first = true;
  function route() {
    if (!data) return;
    visit++;
    const at = parts(),
      name = at.path[0] || "",
      view = views[name];
    document.body.dataset.view = name;
    if (view) view(at.path.slice(1), at.query);
    else notFound("Not found");
    if (!first) {
      document.getElementById("main").focus({ preventScroll: true });
      if (name !== "") window.scrollTo(0, 0);
    }
    first = false;
  }
  window.addEventListener("hashchange", route);
  function say(text) {
    document.getElementById("said").textContent = text;
  }

  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash of the address is the view
    document.getElementById("main").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey)
      return;
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
    script: script,
    open: open,
    show: show,
    notFound: notFound,
    say: say,
    link: link,
    nameOf: nameOf,
    layerOf: layerOf,
    isLow: isLow,
    stateOf: stateOf,
    find: find,
    key: key,
    conceptLink: conceptLink,
    readable: readable,
    encoded: encoded,
    value: value,
    columns: columns,
    numeric: numeric,
    numberText: numberText,
    textOf: textOf,
    percent: percent,
    counted: counted,
    filters: filters,
    state: state,
    get data() {
      return data;
    },
  };
})();
