// Spurious features: neurons and classes that respond to a suspect concept.
"use strict";
(() => {
  const N = neuronym;

  views.spurious = () => {
    N.open(["findings"], (listed) => {
      const children = [h("h1", {}, "Spurious features")];
      const headings = (part) => part.columns.map((name) => [name.replace(/_/g, " "), name === "name" ? 0 : 1]);
      listed.forEach((one) => {
        children.push(
          h("h2", {}, h("bdi", {}, one.suspect)),
          h(
            "p",
            { class: "quiet" },
            one.pairs
              ? `${one.pairs} pairs of samples, with and without the suspect`
              : "No pairs: samples with the suspect are compared with samples without it",
          ),
        );
        if (one.classes)
          children.push(
            h("h3", {}, "Classes that gain and lose"),
            ui.table(
              headings(one.classes),
              one.classes.rows.map((row) => row.map((v, c) => N.numberText(one.classes.columns[c], v))),
              `Classes for ${one.suspect}`,
            ),
          );
        one.neurons.forEach((part) => {
          children.push(
            h("h3", {}, part.layer === null ? "Neurons" : `Neurons of ${part.layer}`),
            ui.table(
              headings(part),
              part.rows.map((row) =>
                row.map((v, c) => {
                  if (part.columns[c] !== "neuron") return N.numberText(part.columns[c], v);
                  const i = N.data.key.get(`${N.encoded(part.layer === null ? "-" : part.layer)}/${N.encoded(v)}`);
                  return i === undefined ? String(v) : h("a", { href: N.link(i) }, String(v));
                }),
              ),
              `Neurons for ${one.suspect}`,
            ),
          );
        });
      });
      N.show("Spurious features", children, "spurious");
    });
  };
})();
