// The parts that views share: words with definitions, signs of evidence, bars, tables, grids of samples, downloads.
"use strict";

// biome-ignore lint/correctness/noUnusedVariables: the other scripts use it
const ui = (() => {
  const N = neuronym;

  // ---- words with definitions, shown on hover, focus or tap
  function word(name, text) {
    return h("button", { type: "button", class: "word", "data-word": name }, text ?? name);
  }
  function definition(name) {
    return N.data?.words.find((one) => one.name === name);
  }
  const tip = h("div", { id: "tip", role: "tooltip", hidden: true });
  document.body.append(tip);
  let shownFor = null,
    leaving = null;
  function showTip(element) {
    const about = definition(element.dataset.word);
    clearTimeout(leaving);
    if (!about || shownFor === element) return;
    hideTip();
    shownFor = element;
    tip.replaceChildren(
      h("strong", {}, about.title),
      h("p", {}, about.about),
      h("a", { href: `#/words/${N.encoded(about.name)}` }, "More"),
    );
    (element.closest("dialog") || document.body).append(tip); // above a dialog that is open
    tip.hidden = false;
    const box = element.getBoundingClientRect(),
      width = tip.offsetWidth,
      below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    tip.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - 6 - tip.offsetHeight)}px`;
    element.setAttribute("aria-describedby", "tip");
  }
  function hideTip() {
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
    tip.hidden = true;
  }
  function leave() {
    clearTimeout(leaving);
    leaving = setTimeout(hideTip, 250);
  }
  const asked = (event) => event.target.closest?.("[data-word]");
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const element = asked(event);
    if (element) showTip(element);
    else if (event.target.closest?.("#tip")) clearTimeout(leaving);
    else if (shownFor && document.activeElement !== shownFor) leave();
  });
  document.addEventListener("focusin", (event) => {
    const element = asked(event);
    if (element?.matches(":focus-visible")) showTip(element);
    else if (!event.target.closest("#tip")) hideTip();
  });
  document.addEventListener("click", (event) => {
    const element = asked(event);
    if (element) showTip(element);
    else hideTip();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && shownFor) {
      event.stopPropagation();
      hideTip();
    }
  });
  window.addEventListener("scroll", hideTip, { passive: true });
  window.addEventListener("hashchange", hideTip);

  // ---- evidence
  const SIGNS = {
    holds: "M4 8.5l3 3 5.5-6.5",
    partly: "M4 8h8",
    fails: "M4.5 4.5l7 7m0-7l-7 7",
    untested: "M5.8 6.2a2.2 2.2 0 1 1 3.2 2q-1 .6-1 1.5m0 2v.3",
    none: "M5 8h6",
  };
  const NAMES = {
    holds: "believable",
    partly: "in part",
    fails: "not believable",
    untested: "not tested",
    none: "no formula",
  };
  function path(d) {
    const place = "http://www.w3.org/2000/svg",
      svg = document.createElementNS(place, "svg"),
      line = document.createElementNS(place, "path");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", d);
    svg.append(line);
    return svg;
  }
  // The sign of a label's evidence, with its numbers in words as a tooltip; with its name beside if asked for.
  function sign(i, named) {
    const state = N.stateOf(i),
      about = N.data.evidence.find((one) => one[0] === state)[1],
      c = N.data.columns;
    const numbers = ["q", "p_search", "auc_heldout", "p_gain"]
      .filter((name) => c[name] && c[name][i] !== null)
      .map((name) => `${name} ${N.textOf(name, i)}`);
    const text = `${about}${numbers.length ? ` (${numbers.join(", ")})` : ""}`;
    return h(
      "span",
      { class: `sign ${state}`, title: text, role: named ? null : "img", "aria-label": named ? null : text },
      path(SIGNS[state]),
      named ? NAMES[state] : null,
    );
  }

  // ---- AUC as a bar from chance to perfect, with its held-out twin below
  function bar(i) {
    const c = N.data.columns,
      auc = c.auc[i],
      held = c.auc_heldout?.[i];
    if (auc === null) return null;
    const one = (name, v) =>
      h("span", { class: `bar ${name}` }, h("span", { style: `width:${Math.max(0, Math.min(1, 2 * v - 1)) * 100}%` }));
    return h(
      "span",
      { class: "bars", "aria-hidden": "true" },
      one("searched", auc),
      held === null || held === undefined ? null : one("held", held),
    );
  }

  // ---- facts and tables
  // [word, value, title]: an empty value is left out.
  function facts(listed) {
    return h(
      "dl",
      { class: "facts" },
      listed
        .filter((one) => one[1] !== null && one[1] !== undefined && one[1] !== "")
        .map((one) =>
          h("div", {}, h("dt", {}, definition(one[0]) ? word(one[0], one[2]) : one[2] || one[0]), h("dd", {}, one[1])),
        ),
    );
  }
  function cellClass(column, other) {
    return [column[1] ? "number" : other, column[3]].filter(Boolean).join(" ") || null;
  }
  // A column is [title, 1 for numbers, word, class]; a row may carry an address as ``row.to``, which a click opens.
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
            columns.map((one) =>
              h(
                "th",
                { scope: "col", class: cellClass(one, null) },
                one[2] && definition(one[2]) ? word(one[2], one[0]) : one[0],
              ),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              { class: row.to ? "leads" : null, "data-to": row.to },
              row.map((one, c) => h("td", { class: cellClass(columns[c], "name"), "data-title": columns[c][0] }, one)),
            ),
          ),
        ),
      ),
    );
  }
  // A click anywhere on a row or card that leads somewhere, but not on what is in it or on text that is selected.
  document.addEventListener("click", (event) => {
    const row = event.target.closest("[data-to]");
    if (!row || event.defaultPrevented || event.target.closest("a, button, input, label, summary")) return;
    if (String(getSelection()) && getSelection().containsNode(row, true)) return;
    if (event.ctrlKey || event.metaKey) window.open(row.dataset.to);
    else location.hash = row.dataset.to;
  });
  function neuron(i) {
    return h("a", { href: N.link(i) }, h("bdi", {}, N.nameOf(i)));
  }
  // Neurons as rows: [label, number, …] under titles of the numbers.
  function neurons(listed, titles, caption) {
    return table(
      [["neuron"], ["formula"], ...titles],
      listed.map(([i, ...numbers]) =>
        Object.assign([neuron(i), h("span", { class: "with-sign" }, sign(i), formulas.ofLabel(i)), ...numbers], {
          to: N.link(i),
        }),
      ),
      caption,
    );
  }
  // A long list of which a reader may see more: the first rows, and a button for those that follow.
  function folded(listed, most, make) {
    const place = h("div", {});
    function draw(n) {
      place.replaceChildren(make(listed.slice(0, n)));
      if (listed.length > n)
        place.append(
          h(
            "button",
            { type: "button", class: "unfold", onclick: () => draw(listed.length > 10 * n ? 5 * n : listed.length) },
            listed.length > 10 * n ? `Show more of ${listed.length}` : `Show all ${listed.length}`,
          ),
        );
    }
    draw(most);
    return place;
  }
  // A button that saves rows as CSV; ``rows`` makes them, the titles first.
  function saving(name, rows) {
    return h(
      "button",
      { type: "button", class: "saving", onclick: () => download(`${name}.csv`, csv(rows()), "text/csv") },
      "Save as CSV",
    );
  }

  // ---- samples
  // sample: [name, text, 1 with a thumbnail or 2 with a larger picture too].
  function picture(row, sample, size) {
    const large = size === "large" && sample[2] === 2;
    return sample[2]
      ? h("img", {
          src: `${large ? "photos" : "thumbs"}/${row}.jpg`,
          loading: "lazy",
          decoding: "async",
          alt: `sample ${sample[0]}`,
        })
      : null;
  }
  function side(inside) {
    return inside === 1 ? "in" : inside === 0 ? "outside" : null;
  }
  // A grid of samples {rows, values, inside}; a click opens one large.
  function samples(listed, names, context) {
    const values = listed.values || [],
      inside = listed.inside || [];
    const texts = listed.rows.some((row) => names[row]?.[1]);
    const list = h(
      "ul",
      { class: `samples${texts ? " texts" : ""}`, "data-n": listed.rows.length },
      listed.rows.map((row, k) => {
        const sample = names[row] || [String(row), null, 0];
        return h(
          "li",
          { class: side(inside[k]) },
          h(
            "button",
            {
              type: "button",
              class: "sample",
              "aria-label": `Open sample ${sample[0]}`,
              onclick: () => enlarge(k, listed, names, context),
            },
            picture(row, sample),
            sample[1] ? h("span", { class: "text", dir: "auto" }, sample[1]) : null,
            sample[2] ? null : h("bdi", { class: "small" }, sample[0]),
          ),
          values.length
            ? h(
                "span",
                { class: "quiet small" },
                inside[k] === 1 ? "inside, " : inside[k] === 0 ? "outside, " : "",
                short(values[k]),
              )
            : null,
        );
      }),
    );
    fitted.observe(list);
    return list;
  }
  // As many columns as divide the samples, so that the last row is full.
  const fitted = new ResizeObserver((entries) => {
    entries.forEach((entry) => {
      const list = entry.target,
        n = Number(list.dataset.n),
        least = list.classList.contains("texts") ? 280 : list.clientWidth < 500 ? 62 : 104,
        most = Math.max(1, Math.min(n, Math.floor((list.clientWidth + 8) / (least + 8))));
      let best = most;
      for (let d = most; d > most / 2; d--)
        if (n % d === 0) {
          best = d;
          break;
        }
      if (n % best && n > best) {
        const rows = Math.ceil(n / most);
        best = Math.ceil(n / rows); // rows as equal as can be
      }
      list.style.setProperty("--columns", best);
    });
  });

  // A sample in a dialog, with its concepts, the activation, and the neurons that fire most on it.
  function enlarge(k, listed, names, context) {
    const dialog = h("dialog", { class: "large", "aria-label": "Sample" });
    const place = h("span", { class: "quiet" }),
      body = h("div", {});
    // The buttons stay while samples change, and so does the focus.
    dialog.append(
      h(
        "div",
        { class: "pager" },
        h("button", { type: "button", onclick: () => step(-1), "aria-label": "Previous sample" }, "←"),
        place,
        h("button", { type: "button", onclick: () => step(1), "aria-label": "Next sample" }, "→"),
        h("button", { type: "button", class: "close", onclick: () => dialog.close() }, "Close"),
      ),
      body,
    );
    let at = k;
    function step(by) {
      at = (at + by + listed.rows.length) % listed.rows.length;
      fill();
    }
    function fill() {
      const row = listed.rows[at],
        sample = names[row] || [String(row), null, 0],
        inside = listed.inside?.[at],
        value = listed.values?.[at];
      const more = h("div", { class: "more" });
      place.textContent = `${at + 1} of ${listed.rows.length}`;
      body.replaceChildren(
        h("div", { class: `shown ${side(inside) || ""}` }, picture(row, sample, "large"), text(sample)),
        h("h2", {}, h("a", { href: `#/sample/${row}` }, h("bdi", {}, sample[0]))),
        value === undefined
          ? ""
          : h(
              "p",
              {},
              word("activation", "activation"),
              ` of ${context || "the neuron"}: `,
              h("strong", {}, short(value)),
              inside === 1 ? ", inside the formula" : inside === 0 ? ", outside the formula" : "",
              listed.notes ? [", ", listed.notes[at]] : "",
            ),
        more,
      );
      N.load(`samples/${Math.floor(row / N.data.piece.samples)}`).then((piece) => {
        if (more.isConnected) more.replaceChildren(...about(piece[row], 5));
      });
    }
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") step(1);
      if (event.key === "ArrowLeft") step(-1);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("a[href^='#']")) dialog.close();
    });
    dialog.addEventListener("close", () => {
      document.body.append(tip);
      dialog.remove();
    });
    window.addEventListener("hashchange", () => dialog.close(), { once: true }); // back and forth leave the sample
    document.body.append(dialog);
    fill();
    dialog.showModal();
  }
  function text(sample) {
    return sample[1] ? h("p", { dir: "auto" }, sample[1]) : null;
  }
  // What is known of a sample: its concepts, and the neurons that fire most on it.
  function about(known, most) {
    const parts = [];
    if (!known) return parts;
    if (known.concepts)
      parts.push(
        h("h3", {}, known.concepts.length ? "Concepts" : "No concepts"),
        h(
          "ul",
          { class: "chips" },
          known.concepts.map((c) =>
            h("li", {}, h("a", { href: N.conceptLink(N.data.concepts[c]) }, h("bdi", {}, N.data.named[c]))),
          ),
        ),
      );
    if (known.neurons.length)
      parts.push(
        h("h3", {}, word("standard deviations", "Neurons that fire most")),
        neurons(
          known.neurons.slice(0, most).map(([i, spread, value]) => [i, short(value), `${spread.toFixed(1)} SD`]),
          [
            ["activation", 1, "activation"],
            ["above mean", 1, "standard deviations"],
          ],
          "Neurons that fire most",
        ),
      );
    return parts;
  }

  // ---- pieces that are loaded when their place comes into view
  const waiting = new Map();
  const watcher = new IntersectionObserver(
    (entries) => {
      entries.forEach((entry) => {
        if (!entry.isIntersecting) return;
        watcher.unobserve(entry.target);
        waiting.get(entry.target)?.();
        waiting.delete(entry.target);
      });
    },
    { rootMargin: "300px" },
  );
  function inView(element, act) {
    waiting.set(element, act);
    watcher.observe(element);
  }
  // The top samples of a label, loaded in view: n thumbnails, or the texts.
  function tops(i, n) {
    const place = h("span", { class: "tops" });
    if (N.data.samples && N.data.columns.auc[i] !== null)
      inView(place, () => {
        N.load(`cards/${Math.floor(i / N.data.piece.cards)}`).then(
          (piece) => {
            const [rows, inside] = piece.cards[i % N.data.piece.cards];
            if (!place.isConnected) return;
            if (rows.some((row) => piece.samples[row]?.[1])) place.classList.add("texts");
            place.replaceChildren(
              ...rows.slice(0, n).map((row, k) => {
                const sample = piece.samples[row],
                  shown = picture(row, sample) || h("span", { class: "text", dir: "auto" }, sample[1] || sample[0]);
                return h("span", { class: side(inside[k]) }, shown);
              }),
            );
          },
          () => place.replaceChildren("a file is missing"),
        );
      });
    return place;
  }

  // ---- menus and downloads
  function menu(title, label, children) {
    const details = h(
      "details",
      { class: "menu" },
      h("summary", { "aria-label": label }, title),
      h("div", {}, children),
    );
    details.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        details.open = false;
        details.firstElementChild.focus();
      }
    });
    return details;
  }
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((one) => {
      if (!one.contains(event.target) || event.target.closest(".menu button")) one.open = false;
    });
  });
  // A frame in a sandbox, as notebooks have, allows no downloads: then a reader is told where they work.
  const confined = window.origin === "null" && location.protocol !== "file:";
  function offer(name, blob) {
    if (confined) {
      const dialog = h(
        "dialog",
        { class: "large", "aria-label": "No downloads here" },
        h(
          "p",
          {},
          `A notebook allows no downloads from this frame: open index.html of the report in a browser for ${name}.`,
        ),
        h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
      );
      dialog.addEventListener("close", () => dialog.remove());
      document.body.append(dialog);
      dialog.showModal();
      return;
    }
    const address = URL.createObjectURL(blob),
      a = h("a", { href: address, download: name });
    document.body.append(a);
    a.click();
    a.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }
  function download(name, content, type) {
    offer(name, new Blob([content], { type: `${type};charset=utf-8` }));
  }
  // Rows as CSV; what a spreadsheet would run as a formula gets an apostrophe before it.
  function csv(rows) {
    const cell = (v) => {
      if (v === null || v === undefined) return "";
      if (typeof v === "number") return String(v);
      const safe = String(v).replace(/^(?=[=+\-@\t\r])/, "'");
      return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
    };
    return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
  }
  // A number for a file: a p that underflows is written as text.
  function exact(name, v) {
    return v === 0 && /^(p|q|p_.*)$/.test(name) ? N.numberText(name, v) : v;
  }
  // A number in a few digits, for axes and tooltips.
  function short(v) {
    if (v === null || v === undefined) return "";
    if (v === 0) return "0";
    const size = Math.abs(v);
    return size >= 1e5 || size < 1e-3 ? v.toExponential(2) : String(Number(v.toPrecision(4)));
  }

  return {
    word: word,
    definition: definition,
    sign: sign,
    signNames: NAMES,
    bar: bar,
    facts: facts,
    table: table,
    neuron: neuron,
    neurons: neurons,
    folded: folded,
    saving: saving,
    picture: picture,
    samples: samples,
    enlarge: enlarge,
    about: about,
    text: text,
    tops: tops,
    inView: inView,
    menu: menu,
    offer: offer,
    download: download,
    csv: csv,
    exact: exact,
    short: short,
  };
})();
