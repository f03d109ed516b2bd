// The page: pieces of data loaded as scripts, elements made without markup from data, the table of neurons, routes.
"use strict";

// An element; texts become text nodes, so names can hold anything.
function h(tag, attributes) {
  var element = document.createElement(tag);
  Object.keys(attributes || {}).forEach(function (name) {
    var value = attributes[name];
    if (value === null || value === undefined || value === false) return;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  });
  for (var i = 2; i < arguments.length; i++) add(element, arguments[i]);
  return element;
}
function add(element, child) {
  if (child === null || child === undefined || child === false) return;
  if (Array.isArray(child)) child.forEach(function (one) { add(element, one); });
  else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
}

var neuronym = (function () {
  var waiting = {}, there = {};
  var data = null;

  function piece(name, value) {
    there[name] = value;
    if (name === "index") begin(value);
    (waiting[name] || []).forEach(function (then) { then(value); });
    delete waiting[name];
  }

  function load(name, then) {
    if (there[name]) return then(there[name]);
    var asked = location.hash, still = function (value) { if (location.hash === asked) then(value); };
    if (waiting[name]) return waiting[name].push(still);
    waiting[name] = [still];
    var script = h("script", { src: "data/" + name + ".js" });
    script.onerror = function () { delete waiting[name]; script.remove(); show("Not found", [h("p", {}, "A part of this report is missing: data/" + name + ".js")]); };
    document.head.append(script);
  }

  // ---- what the table holds
  function begin(index) {
    data = index;
    var n = index.n;
    index.formulas = index.formulas.map(parsed);
    Object.keys(index.columns).forEach(function (name) { index.columns[name] = unpacked(index.columns[name]); });
    data.key = new Map();
    for (var i = 0; i < n; i++) data.key.set(key(i), i);
    data.title = index.title;
    data.named = index.readable || index.concepts;
    data.place = new Map(index.concepts.map(function (name, c) { return [name, c]; }));
    data.words = index.formulas.map(function (f) { return spell(f, 0); });
    data.literals = index.formulas.map(function (f) {
      var found = { yes: [], no: [] };
      literals(f, false, found);
      return found;
    });
    data.text = index.formulas.map(function (f, k) {
      var found = data.literals[k];
      var lines = function (listed) { return "\n" + listed.map(function (c) { return fold(data.named[c]); }).join("\n") + "\n"; };
      return { yes: lines(found.yes), no: lines(found.no) };
    });
    data.own = new Array(n);
    for (var j = 0; j < n; j++) data.own[j] = fold((layerOf(j) === null ? "" : layerOf(j) + " ") + index.columns.neuron[j]);
    data.length = index.formulas.map(size);
    navigation();
    route();
  }
  // A formula from its text, as 3&~(1|2), with numbers for concepts.
  function parsed(text) {
    var at = 0;
    function joined(sign, next) {
      var parts = [next()];
      while (text[at] === sign) { at++; parts.push(next()); }
      return parts.length > 1 ? [sign].concat(parts) : parts[0];
    }
    function either() { return joined("|", both); }
    function both() { return joined("&", one); }
    function one() {
      if (text[at] === "~") { at++; return ["~", one()]; }
      if (text[at] === "(") { at++; var inner = either(); at++; return inner; }
      var start = at;
      while (text[at] >= "0" && text[at] <= "9") at++;
      return Number(text.slice(start, at));
    }
    return either();
  }
  // A column as it is packed: runs, few values by their places, or decimals as whole numbers.
  function unpacked(column) {
    if (column.plain) return column.plain;
    if (column.scaled) return column.scaled.map(function (x) { return x === null ? null : x / 10000; });
    if (column.codes) return column.codes.map(function (code) { return column.values[code]; });
    var found = [];
    column.runs.forEach(function (run) { for (var k = 0; k < run[1]; k++) found.push(run[0] + column.step * k); });
    return found;
  }
  function fold(text) { return String(text).toLowerCase().replace(/_/g, " "); }
  function size(f) { return Array.isArray(f) ? f.slice(1).reduce(function (sum, one) { return sum + size(one); }, 0) : 1; }
  function literals(f, negated, found) {
    if (!Array.isArray(f)) return (negated ? found.no : found.yes).push(f);
    f.slice(1).forEach(function (one) { literals(one, negated !== (f[0] === "~"), found); });
  }
  var BINDING = { "|": 0, "&": 1, "~": 2 };
  function quoted(name) { return /^[^\s&|~()"]+$/.test(name) ? name : '"' + name.replace(/"/g, '""') + '"'; }
  function spell(f, outer) {
    if (!Array.isArray(f)) return quoted(data.named[f]);
    if (f[0] === "~") return "~" + spell(f[1], 2);
    var text = f.slice(1).map(function (one) { return spell(one, BINDING[f[0]] + 1); }).join(" " + f[0] + " ");
    return BINDING[f[0]] < outer ? "(" + text + ")" : text;
  }
  function layerOf(i) { return data.layers[data.columns.layer[i]]; }
  function formulaOf(i) {
    var k = data.columns.formula[i];
    return k < 0 ? "(" + (data.reasons[i] || "no formula") + ")" : data.words[k];
  }
  function key(i) {
    var low = data.columns.low && data.columns.low[i] ? "/low" : "";
    return encodeURIComponent(layerOf(i) === null ? "-" : layerOf(i)) + "/" + encodeURIComponent(data.columns.neuron[i]) + low;
  }
  function link(i) { return "#/neuron/" + key(i); }
  function nameOf(i) { return (layerOf(i) === null ? "neuron " : layerOf(i) + " ") + data.columns.neuron[i] + (data.columns.low && data.columns.low[i] ? ", low" : ""); }
  function conceptLink(name) { return "#/concept/" + encodeURIComponent(name); }

  // ---- state in the URL
  function parts() {
    var text = location.hash.replace(/^#\/?/, ""), cut = text.indexOf("?");
    var path = (cut < 0 ? text : text.slice(0, cut)).split("/").filter(Boolean).map(function (one) {
      try { return decodeURIComponent(one); } catch (error) { return one; }
    });
    return { path: path, query: new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1)) };
  }
  var remembered = recalled();
  function recalled() { try { return sessionStorage.getItem("filters " + location.pathname) || ""; } catch (error) { return ""; } }
  function remember(text) {
    remembered = text;
    try { sessionStorage.setItem("filters " + location.pathname, text); } catch (error) { /* not kept over a reload */ }
  }
  function state(changes) {
    var query = parts().query;
    Object.keys(changes).forEach(function (name) {
      if (changes[name] === "" || changes[name] === null) query.delete(name);
      else query.set(name, changes[name]);
    });
    remember(query.toString());
    history.replaceState(null, "", "#/" + (remembered ? "?" + remembered : ""));
  }

  function navigation() {
    var links = [["", "Neurons"], ["concepts", "Concepts"]];
    if (data.layers.length > 1) links.push(["layers", "Layers"]);
    if (data.sections.includes("compared")) links.push(["compare", "Two sets"]);
    if (data.sections.includes("circuits")) links.push(["circuits", "Circuits"]);
    if (data.sections.includes("findings")) links.push(["spurious", "Spurious"]);
    var place = document.getElementById("nav");
    place.replaceChildren();
    links.forEach(function (one) { place.append(h("li", {}, h("a", { href: "#/" + one[0], "data-section": one[0] }, one[1]))); });
  }

  // ---- pages
  function show(title, children, section) {
    var main = document.getElementById("main");
    main.replaceChildren();
    children.forEach(function (child) { add(main, child); });
    document.title = title === data.title ? title : title + " · " + data.title;
    document.querySelectorAll("#nav a").forEach(function (a) {
      if (a.dataset.section === section) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    });
    return main;
  }
  var first = true;
  function route() {
    if (!data) return;
    var at = parts(), name = at.path[0] || "";
    var view = name === "" ? overview : views[name];
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
  var STEP = 100;
  function value(name, i) {
    if (name === "formula") return formulaOf(i).toLowerCase();
    if (name === "layer") return data.columns.layer[i];
    if (name === "length") { var k = data.columns.formula[i]; return k < 0 ? null : data.length[k]; }
    return data.columns[name][i];
  }
  function shownColumns() {
    return data.schema.filter(function (one) {
      return one.page && (one.name === "layer" ? data.layers.length > 1 || data.layers[0] !== null : one.name === "length" || one.name in data.columns);
    });
  }
  function numeric(column) { return ["number", "p", "whole"].includes(column.kind); }
  function terms(text) {
    var found = [], pattern = /(~?)"([^"]*)"|(~?)(\S+)/g, match;
    while ((match = pattern.exec(text))) {
      var whole = match[2] !== undefined, word = fold(whole ? match[2] : match[4]);
      if (word) found.push({ no: (match[1] || match[3]) === "~", word: whole ? "\n" + word + "\n" : word });
    }
    return found;
  }
  // The columns that are filtered by a least value.
  function filters() { return shownColumns().filter(function (one) { return one.at_least !== undefined && one.name in data.columns; }); }
  function filtered(query) {
    var words = terms(query.get("q") || "");
    var least = filters().map(function (one) { return [data.columns[one.name], Number(query.get(one.name) || 0)]; }).filter(function (one) { return one[1] > 0; });
    var layer = query.get("layer"), believed = query.get("believed") === "1", c = data.columns;
    var matches = data.text.map(function (one) {
      return words.map(function (term) { return (term.no ? one.no : one.yes).includes(term.word); });
    });
    var rows = [];
    for (var i = 0; i < data.n; i++) {
      if (layer !== null && String(layerOf(i)) !== layer) continue;
      if (!least.every(function (one) { return one[0][i] !== null && one[0][i] >= one[1]; })) continue;
      if (believed && c.q && !(c.q[i] !== null && c.q[i] <= 0.05)) continue;
      var k = c.formula[i], fits = true;
      for (var t = 0; t < words.length && fits; t++) {
        fits = (k >= 0 && matches[k][t]) || (!words[t].no && data.own[i].includes(words[t].word));
      }
      if (fits) rows.push(i);
    }
    var sort = query.get("sort") || "-auc", falling = sort[0] === "-", name = falling ? sort.slice(1) : sort;
    if (!shownColumns().some(function (one) { return one.name === name; })) { name = "auc"; falling = true; }
    var values = new Array(data.n);
    rows.forEach(function (i) { values[i] = value(name, i); });
    rows.sort(function (a, b) {
      var x = values[a], y = values[b];
      if (x === y) return a - b;
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      if (typeof x !== typeof y) { x = String(x); y = String(y); }
      return (x < y ? -1 : 1) * (falling ? -1 : 1);
    });
    return { rows: rows, sort: name, falling: falling };
  }

  function cell(column, i) {
    var name = column.name;
    if (name === "neuron") return h("td", { class: "name" }, h("a", { href: link(i) }, h("bdi", {}, data.columns.neuron[i]), data.columns.low && data.columns.low[i] ? " low" : ""));
    if (name === "layer") return h("td", { class: "name" }, h("bdi", {}, layerOf(i)));
    if (name === "formula") return h("td", { class: "formula" }, h("bdi", {}, formulaOf(i)));
    if (!numeric(column)) return h("td", { class: "name" }, h("bdi", {}, value(name, i)));
    return h("td", { class: "number" }, textOf(name, i));
  }
  // A number of a label: where p is too small for a float, or is no more than near, as the label says it.
  function textOf(name, i) {
    var own = data.columns[name + "_text"], sign = data.columns[name + "_sign"];
    return own && own[i] ? own[i] : (sign ? sign[i] : "") + told(name, value(name, i));
  }
  function told(name, v) {
    if (v === null || v === undefined) return "";
    if (typeof v !== "number") return String(v);
    if (/^(p|q|p_.*)$/.test(name) && v === 0) return "< 1e-323";
    var column = data.schema.find(function (one) { return one.name === name; });
    if (column && column.form) return formatted(column.form, v);
    if (Number.isInteger(v) && ["rank", "class", "neuron", "pairs"].includes(name)) return String(v);
    if (/^(p_.*|log10.*)$/.test(name)) return formatted(".2g", v);
    return Math.abs(v) >= 100 ? v.toFixed(1) : v.toFixed(3);
  }
  // A number in a format of Python: d, .4f or .2g.
  function formatted(form, v) {
    var digits = Number(form.slice(1, -1));
    if (form.endsWith("d")) return String(v);
    if (form.endsWith("f")) return v.toFixed(digits);
    var parts = v.toExponential(digits - 1).split("e"), power = Number(parts[1]);
    var plain = function (text) { return text.includes(".") ? text.replace(/\.?0+$/, "") : text; };
    if (power >= -4 && power < digits) return plain(v.toFixed(digits - 1 - power));
    return plain(parts[0]) + "e" + (power < 0 ? "-" : "+") + String(Math.abs(power)).padStart(2, "0");
  }

  function overview(_, query) {
    if ([...query.keys()].length) remember(query.toString());
    else if (remembered) {
      query = new URLSearchParams(remembered);
      history.replaceState(null, "", "#/?" + remembered);
    }
    var body = h("tbody"), head = h("tr"), count = h("p", { class: "quiet", id: "count" }), more = h("button", { type: "button" }, "Show more");
    var rows = [], drawnRows = 0, columns = shownColumns();

    function draw(to) {
      var some = document.createDocumentFragment();
      for (; drawnRows < Math.min(to, rows.length); drawnRows++) {
        var i = rows[drawnRows];
        some.append(h("tr", {}, columns.map(function (one) { return cell(one, i); })));
      }
      body.append(some);
      more.hidden = drawnRows >= rows.length;
    }
    function headings(found) {
      head.replaceChildren();
      columns.forEach(function (one) {
        var name = one.name;
        var mine = name === found.sort, arrow = mine ? (found.falling ? " ▼" : " ▲") : "";
        head.append(h("th", { scope: "col", class: numeric(one) ? "number" : null, "aria-sort": mine ? (found.falling ? "descending" : "ascending") : "none" },
          h("button", { type: "button", "data-sort": name, title: one.about, onclick: function () {
            var falls = mine ? !found.falling : numeric(one) && one.kind !== "p";
            state({ sort: (falls ? "-" : "") + name });
            update();
            head.querySelector("[data-sort='" + name + "']").focus();
          } }, name + arrow)));
      });
    }
    function update() {
      var found = filtered(parts().query);
      rows = found.rows;
      drawnRows = 0;
      body.replaceChildren();
      headings(found);
      draw(STEP);
      count.textContent = rows.length === data.n ? data.n + " neurons" : rows.length + " of " + data.n + " neurons";
      document.getElementById("said").textContent = count.textContent;
    }
    more.addEventListener("click", function () { draw(drawnRows + 5 * STEP); });

    function slider(column) {
      var name = column.name, max = column.at_least;
      var shown = h("output", { for: name }, Number(query.get(name) || 0).toFixed(2));
      return h("label", {}, h("span", {}, name + " ≥ ", shown), h("input", { type: "range", id: name, min: 0, max: max, step: 0.01, value: query.get(name) || 0, oninput: function (event) {
        shown.textContent = Number(event.target.value).toFixed(2);
        state({ [name]: Number(event.target.value) ? event.target.value : "" });
        update();
      } }));
    }
    var search = h("input", { type: "search", id: "q", value: query.get("q") || "", placeholder: "dog ~grass", autocomplete: "off", oninput: function (event) { state({ q: event.target.value }); update(); } });
    var layers = data.layers.length < 2 ? null : h("label", {}, "layer", h("select", { id: "layer", onchange: function (event) { state({ layer: event.target.value }); update(); } },
      h("option", { value: "" }, "all"), data.layers.map(function (name) { return h("option", { value: String(name), selected: query.get("layer") === String(name) }, String(name)); })));
    var believed = !data.columns.q ? null : h("label", {}, "believable", h("select", { id: "believed", onchange: function (event) { state({ believed: event.target.value }); update(); } },
      h("option", { value: "" }, "all"), h("option", { value: "1", selected: query.get("believed") === "1" }, "q ≤ 0.05")));
    show(data.title, [
      h("h1", {}, data.title),
      h("form", { class: "filters", role: "search", onsubmit: function (event) { event.preventDefault(); } },
        h("label", {}, "concepts, such as dog or ~grass; neurons", search), filters().map(slider), layers, believed),
      count,
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Neurons" }, h("table", { id: "neurons" }, h("caption", { class: "unseen" }, "Neurons and their formulas"), h("thead", {}, head), body)),
      h("p", {}, more),
      h("section", { "aria-label": "Summary" }, h("h2", {}, "All neurons"), summary()),
    ], "");
    update();
    document.documentElement.dataset.ready = "1";
  }

  function summary() {
    var c = data.columns, place = h("div", { class: "charts" });
    var known = c.auc.filter(function (x) { return x !== null; });
    var bins = 50, counts = new Array(bins).fill(0), x = counts.map(function (_, b) { return (b + 0.5) / bins; });
    known.forEach(function (a) { counts[Math.min(bins - 1, Math.floor(a * bins))]++; });
    var sorted = known.slice().sort(function (a, b) { return a - b; }), middle = sorted.length ? sorted[sorted.length >> 1] : 0;
    charts.plot(place, "AUC of the formulas", "Histogram of AUC: median " + middle.toFixed(3) + " over " + known.length + " neurons", x,
      [{ label: "neurons", y: counts, colour: "in", fill: true, bars: true, width: 0 }], { x: "AUC", y: "neurons", xrange: [0.4, 1.02] });
    var order = data.depth && c.formula.some(function (k) { return k >= 0; });
    var first = [], second = [];
    for (var i = 0; i < data.n; i++) {
      if (c.formula[i] < 0) continue;
      var depth = order ? meanDepth(c.formula[i]) : c.fraction[i];
      if (depth !== null) first.push([depth, c.auc[i]]);
    }
    first.sort(function (a, b) { return a[0] - b[0]; });
    if (first.length > 4000) first = first.filter(function (_, i) { return i % Math.ceil(first.length / 4000) === 0; });
    if (first.length) charts.plot(place, order ? "AUC by depth of the concepts" : "AUC by fraction", "Scatter of AUC against " + (order ? "the mean depth of a formula's concepts in the hierarchy" : "the fraction of samples inside"),
      first.map(function (p) { return p[0]; }), [{ label: "neuron", y: first.map(function (p) { return p[1]; }), colour: "in", alone: true, points: { show: true, size: 4, width: 0, fill: charts.colour("in") + "99" } }],
      { x: order ? "steps below the top" : "fraction of samples", y: "AUC" });
    var believable = null;
    if (c.q) {
      var yes = c.q.filter(function (q) { return q !== null && q <= 0.05; }).length;
      believable = h("p", {}, yes + " of " + data.n + " labels (" + Math.round(100 * yes / data.n) + "%) are believable: q ≤ 0.05, the search accounted for.");
    } else believable = h("p", { class: "quiet" }, "Whether to believe the labels was not asked: label with permutations to know.");
    var uses = new Map();
    data.columns.formula.forEach(function (k) {
      if (k >= 0) new Set(data.literals[k].yes).forEach(function (name) { uses.set(name, (uses.get(name) || 0) + 1); });
    });
    var frequent = [...uses].sort(function (a, b) { return b[1] - a[1] || a[0] - b[0]; }).slice(0, 15);
    place.append(h("div", {}, h("h3", {}, "Most frequent concepts"), believable, h("ul", { class: "plain small" }, frequent.map(function (one) {
      return h("li", {}, h("a", { href: conceptLink(data.concepts[one[0]]) }, h("bdi", {}, data.named[one[0]])), " " + one[1]);
    }))));
    return place;
  }
  function meanDepth(k) {
    var found = [];
    (function walk(f) { if (Array.isArray(f)) f.slice(1).forEach(walk); else if (data.depth[f] !== null) found.push(data.depth[f]); })(data.formulas[k]);
    return found.length ? found.reduce(function (a, b) { return a + b; }) / found.length : null;
  }

  document.querySelector(".skip").addEventListener("click", function (event) {
    event.preventDefault(); // the address holds what is shown
    document.getElementById("main").focus();
  });
  document.addEventListener("keydown", function (event) {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      var box = document.getElementById("q");
      if (box) { event.preventDefault(); box.focus(); } else location.hash = "#/";
    }
    if (event.target.closest(".scroll")) return; // arrows scroll a wide table
    var next = event.key === "ArrowRight" ? "next" : event.key === "ArrowLeft" ? "previous" : null;
    var to = next && document.querySelector("a[rel=" + (next === "next" ? "next" : "prev") + "]");
    if (to) to.click();
  });

  return {
    piece: piece, load: load, show: show, link: link, nameOf: nameOf, formulaOf: formulaOf, conceptLink: conceptLink, told: told, textOf: textOf, numeric: numeric, shownColumns: shownColumns, key: key, layerOf: layerOf,
    at: function (view, path) { var now = parts().path; return now[0] === view && now.slice(1, 4).map(encodeURIComponent).join("/") === path; },
    rows: function () { return filtered(new URLSearchParams(remembered)).rows; },
    get data() { return data; },
  };
})();
var views = {};
