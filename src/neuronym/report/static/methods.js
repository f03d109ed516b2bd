// INVERT, Network Dissection and Compositional Explanations on the same neurons, side by side.
"use strict";
(() => {
  const N = neuronym;

  const shares = ["same", "same_concepts", "overlap"];
  const titles = {
    neurons: "labelled",
    length: "mean length",
    iou: "mean IoU",
    auc: "mean AUC",
    same: "INVERT's formula",
    same_concepts: "INVERT's concepts",
    overlap: "overlap with INVERT",
    compared: "compared",
    seconds: "seconds",
    memory: "MB",
  };
  function shown(name, value) {
    if (value === null) return "";
    if (shares.includes(name)) return N.percent(value);
    if (["neurons", "compared", "memory"].includes(name)) return value.toFixed(0);
    return value.toFixed(name === "seconds" ? 1 : name === "length" ? 2 : name === "iou" ? 4 : 3);
  }
  function measured(value, digits) {
    return value === null ? "" : value.toFixed(digits);
  }

  views.methods = () => {
    N.open(["methods"], (found) => {
      const columns = found.columns.slice(1),
        on = found.held_out ? " on photos that no method searched" : "";
      const spread = (row) =>
        row.formulas.flatMap(([tree, , iou, auc]) => [
          tree ? formulas.nodes(tree) : "none",
          measured(iou, 4),
          measured(auc, 3),
        ]);
      N.show(
        "Methods",
        [
          h("h1", {}, "Methods"),
          h(
            "p",
            { class: "quiet" },
            `The same neurons, photos and concepts by ${found.methods.length} methods. Each formula has the `,
            ui.word("pixel IoU", "IoU"),
            " of pixels and the ",
            ui.word("auc", "AUC"),
            ` of photos${on}; means are over the neurons compared, to which every method gives a formula.`,
          ),
          ui.table(
            [["method"], ...columns.map((name) => [titles[name] || name, 1])],
            found.rows.map(([method, ...values]) => [method, ...values.map((value, k) => shown(columns[k], value))]),
            "Methods",
          ),
          h("h2", {}, "Neurons"),
          ui.saving("methods", () => [
            ["layer", "neuron", ...found.methods.flatMap((name) => [name, `${name} IoU`, `${name} AUC`])],
            ...found.neurons.map((row) => [
              row.layer,
              row.neuron,
              ...row.formulas.flatMap(([, text, iou, auc]) => [text, iou, auc]),
            ]),
          ]),
          ui.folded(found.neurons, 100, (some) =>
            ui.table(
              [["neuron"], ...found.methods.flatMap((name) => [[name], ["IoU", 1, "pixel IoU"], ["AUC", 1, "auc"]])],
              some.map((row) => {
                const name = [row.layer, row.neuron].filter((part) => part !== null).join(" ");
                const cells = [row.place === null ? h("bdi", {}, name) : ui.neuron(row.place), ...spread(row)];
                return row.place === null ? cells : Object.assign(cells, { to: N.link(row.place) });
              }),
              "Formulas by method",
            ),
          ),
        ],
        "methods",
      );
    });
  };
})();
