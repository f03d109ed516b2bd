// Words: a short definition of every number on the page, and where the documentation explains it.
"use strict";
(() => {
  const N = neuronym;

  views.words = (path) => {
    const asked = path[0];
    N.show(
      "Words",
      [
        h("h1", {}, "Words"),
        h(
          "p",
          { class: "quiet" },
          "What the numbers on this page are. The file names are pages of neuronym's documentation.",
        ),
        h(
          "dl",
          { class: "words" },
          N.data.words.map((one) =>
            h(
              "div",
              { id: `word ${one.name}`, class: one.name === asked ? "asked" : null },
              h("dt", {}, one.title),
              h("dd", {}, one.about, one.docs ? h("span", { class: "quiet small" }, ` ${one.docs}`) : null),
            ),
          ),
        ),
        h("h2", {}, "Signs"),
        h(
          "dl",
          { class: "words" },
          N.data.evidence.map(([name, about]) => h("div", {}, h("dt", {}, ui.signNames[name]), h("dd", {}, about))),
        ),
      ],
      "words",
    );
    if (asked) document.getElementById(`word ${asked}`)?.scrollIntoView({ block: "center" });
  };
})();
