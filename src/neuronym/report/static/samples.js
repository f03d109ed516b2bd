// Samples: all that the page shows, and a page of each with its concepts and the neurons that fire most on it.
"use strict";
(() => {
  const N = neuronym,
    SHOWN = 96;

  views.samples = (_, query) => {
    N.open(["samples"], (listed) => {
      let text = query.get("q") || "",
        most = SHOWN;
      const body = h("div", {}),
        count = h("p", { class: "quiet" }),
        more = h("button", { type: "button" }, "Show more");
      function draw() {
        const word = text.toLowerCase(),
          found = listed.filter(([, name]) => String(name).toLowerCase().includes(word)),
          rows = found.slice(0, most).map(([row]) => row);
        count.textContent = text
          ? `${found.length} of ${N.counted(listed.length, "sample")} have this in their name`
          : `${listed.length} of ${N.counted(N.data.n_samples, "sample")}: those that views of this page show`;
        more.hidden = found.length <= most;
        const pieces = [...new Set(rows.map((row) => Math.floor(row / N.data.piece.samples)))];
        N.open(
          pieces.map((k) => `samples/${k}`),
          (...loaded) => {
            const names = {};
            for (const one of loaded) for (const row of Object.keys(one)) names[row] = one[row].sample;
            body.replaceChildren(
              rows.length
                ? ui.samples({ rows: rows }, names)
                : h("p", { class: "nothing" }, "No sample has this in its name."),
            );
          },
        );
      }
      more.addEventListener("click", () => {
        most += 2 * SHOWN;
        draw();
      });
      N.show(
        "Samples",
        [
          h("h1", {}, "Samples"),
          count,
          h(
            "form",
            { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
            h(
              "label",
              { class: "search" },
              "search names",
              h("input", {
                type: "search",
                id: "sample-search",
                value: text,
                placeholder: String(listed[0]?.[1] ?? ""),
                autocomplete: "off",
                oninput: (event) => {
                  text = event.target.value;
                  most = SHOWN;
                  history.replaceState(null, "", `#/samples${text ? `?q=${N.encoded(text)}` : ""}`);
                  draw();
                },
              }),
            ),
          ),
          body,
          h("p", {}, more),
        ],
        "samples",
      );
      draw();
    });
  };

  views.sample = (path) => {
    const row = Number(path[0]);
    if (!N.data.samples || !Number.isInteger(row) || row < 0) return N.notFound("No such sample");
    N.open(["samples", `samples/${Math.floor(row / N.data.piece.samples)}`], (listed, piece) => {
      const known = piece[row];
      if (!known) return N.notFound("No such sample", "This page shows no such sample.");
      const at = listed.findIndex((one) => one[0] === row),
        to = (k, rel, text) => (listed[k] ? h("a", { rel: rel, href: `#/sample/${listed[k][0]}` }, text) : null);
      N.show(
        String(known.sample[0]),
        [
          h(
            "p",
            { class: "pager" },
            h("a", { href: "#/samples" }, "All samples"),
            to(at - 1, "prev", "← previous"),
            to(at + 1, "next", "next →"),
          ),
          h("h1", {}, h("bdi", {}, known.sample[0])),
          h(
            "div",
            { class: "one-sample" },
            h("div", { class: "shown" }, ui.picture(row, known.sample, "large"), ui.text(known.sample)),
            h("div", {}, ui.about(known, 8)),
          ),
        ],
        "samples",
      );
    });
  };
})();
