// Formulas: parsing and spelling them, and the search that reads the same language.
"use strict";

// biome-ignore lint/correctness/noUnusedVariables: the other scripts use it
const formulas = (() => {
  let data = null;
  const BINDING = { or: 0, and: 1, not: 2, concept: 3 };

  // Prepare what spelling and searching need of each distinct formula.
  function prepare(index) {
    data = index;
    data.trees = data.formulas.map(parsed);
    data.spelled = data.trees.map((tree) => spelled(tree, 0));
    data.literals = data.trees.map((tree) => {
      const found = { yes: new Set(), no: new Set() };
      collect(tree, false, found);
      return found;
    });
    data.lengths = data.trees.map(size);
    data.foldedConcepts = data.concepts.map((name, c) => [fold(name), fold(data.named[c])]);
    const layer = data.columns.layer,
      folded = data.layers.map((name) => (name === null ? "" : fold(name)));
    data.foldedNeurons = data.columns.neuron.map((name, i) => [fold(name), folded[layer[i]]]);
    data.known = new Set([...data.foldedConcepts.flat(), ...data.foldedNeurons.flat()]);
  }
  // Parse a formula with numbers for concepts, such as 3&~(1|2), into ["and", ["concept", 3], …].
  function parsed(text) {
    let at = 0;
    const joined = (sign, name, next) => {
      const listed = [next()];
      while (text[at] === sign) {
        at++;
        listed.push(next());
      }
      return listed.length > 1 ? [name, ...listed] : listed[0];
    };
    const either = () => joined("|", "or", both),
      both = () => joined("&", "and", one);
    function one() {
      if (text[at] === "~") {
        at++;
        return ["not", one()];
      }
      if (text[at] === "(") {
        at++;
        const inner = either();
        at++;
        return inner;
      }
      const start = at;
      while (text[at] >= "0" && text[at] <= "9") at++;
      return ["concept", Number(text.slice(start, at))];
    }
    return either();
  }
  function size(tree) {
    return tree[0] === "concept" ? 1 : tree.slice(1).reduce((sum, one) => sum + size(one), 0);
  }
  function collect(tree, negated, found) {
    if (tree[0] === "concept") found[negated ? "no" : "yes"].add(tree[1]);
    else
      tree.slice(1).forEach((one) => {
        collect(one, negated !== (tree[0] === "not"), found);
      });
  }
  function quoted(name) {
    return /^[^\s&|~()"]+$/.test(name) ? name : `"${name.replace(/"/g, '""')}"`;
  }
  // The name that is shown for a concept: by number in the index, by its own name elsewhere.
  function shown(concept) {
    return typeof concept === "number" ? data.named[concept] : neuronym.readable(concept);
  }
  const SIGNS = { and: " & ", or: " | " };
  function spelled(tree, outer) {
    if (tree[0] === "concept") return quoted(shown(tree[1]));
    if (tree[0] === "not") return `~${spelled(tree[1], 2)}`;
    const text = tree
      .slice(1)
      .map((one) => spelled(one, BINDING[tree[0]] + 1))
      .join(SIGNS[tree[0]]);
    return BINDING[tree[0]] < (outer || 0) ? `(${text})` : text;
  }
  function treeOf(i) {
    return data.trees[data.columns.formula[i]] || null;
  }
  function lengthOf(i) {
    return data.lengths[data.columns.formula[i]] ?? null;
  }
  function textOf(i) {
    const k = data.columns.formula[i];
    return k < 0 ? `(${data.reasons[i] || "no formula"})` : data.spelled[k];
  }

  // The literals of a tree, as texts that tell concepts and signs apart.
  function signed(tree) {
    const found = { yes: new Set(), no: new Set() };
    collect(tree, false, found);
    const name = (c) => (typeof c === "number" ? data.concepts[c] : c);
    return new Set([...[...found.yes].map((c) => `+${name(c)}`), ...[...found.no].map((c) => `-${name(c)}`)]);
  }
  // A formula as nodes. Options: words ("and not" for "& ~"), links to concepts, kept: the simplified formula's tree,
  // whose literals hold; the others are struck through. A kept of null strikes all.
  function nodes(tree, options) {
    const o = options || {},
      kept = o.kept === undefined ? null : o.kept === null ? new Set() : signed(o.kept);
    const signs = o.words ? { and: " and ", or: " or " } : SIGNS;
    function walk(one, outer, negated) {
      if (one[0] === "concept") {
        const name = typeof one[1] === "number" ? data.concepts[one[1]] : one[1];
        const text = h("bdi", {}, o.words ? shown(one[1]) : quoted(shown(one[1])));
        const known = o.links && data.place.has(neuronym.encoded(name));
        const node = known ? h("a", { href: neuronym.conceptLink(name) }, text) : text;
        return kept && !kept.has((negated ? "-" : "+") + name)
          ? h("s", { title: "this literal does not gain on held-out samples" }, node)
          : node;
      }
      if (one[0] === "not") {
        const sign = o.words ? "not " : "~",
          inner = walk(one[1], 2, !negated);
        if (inner.nodeName !== "S") return [sign, inner];
        inner.prepend(sign); // the whole literal is struck
        return inner;
      }
      const listed = [];
      one.slice(1).forEach((part, i) => {
        if (i) listed.push(signs[one[0]]);
        listed.push(walk(part, BINDING[one[0]] + 1, negated));
      });
      return BINDING[one[0]] < outer ? ["(", listed, ")"] : listed;
    }
    return h("span", { class: "formula" }, walk(tree, 0, false));
  }
  // The formula of a label, with the literals that do not hold struck through.
  function ofLabel(i, options) {
    const tree = treeOf(i);
    if (!tree) return h("span", { class: "quiet" }, textOf(i));
    const c = data.columns,
      kept = c.simplest && neuronym.stateOf(i) === "partly" ? { kept: data.trees[c.simplest[i]] || null } : {};
    return nodes(tree, { ...kept, ...options });
  }

  // Whether any literal of a label is among those that hold.
  function keepsAny(i) {
    const kept = data.trees[data.columns.simplest[i]];
    if (!kept) return false;
    const own = signed(treeOf(i));
    return [...signed(kept)].some((literal) => own.has(literal));
  }

  // ---- search
  function fold(text) {
    return String(text).toLowerCase().replace(/[_\s]/g, " ");
  }
  const OPERATORS = { "&": "and", "&&": "and", "∧": "and", "|": "or", "||": "or", "∨": "or", "~": "not" };
  function tokens(text) {
    const found = [];
    for (const match of text.matchAll(/"((?:[^"]|"")*)("|$)|&&|\|\||[&|~∧∨¬()]|!(?=\S)|[^\s&|~∧∨¬()"]+/g)) {
      const raw = match[0],
        at = [match.index, match.index + raw.length];
      if (raw[0] === '"') {
        const name = match[1].replace(/""/g, '"');
        if (name.trim()) found.push({ kind: "term", text: name, whole: true, at: at });
      } else if (OPERATORS[raw] || raw === "!" || raw === "¬") found.push({ kind: OPERATORS[raw] || "not", at: at });
      else if (raw === "(" || raw === ")") found.push({ kind: raw, at: at });
      else if (/^(and|or|not)$/i.test(raw)) found.push({ kind: raw.toLowerCase(), at: at, word: raw });
      else found.push({ kind: "term", text: raw, whole: false, at: at });
    }
    return joinedNames(found);
  }
  // Words side by side that are one name together are one term: "golden retriever" for golden_retriever.
  function joinedNames(listed) {
    const found = [];
    for (let start = 0; start < listed.length; ) {
      let end = start;
      while (listed[end]?.kind === "term" && !listed[end].whole) end++;
      const name = (to) =>
        listed
          .slice(start, to)
          .map((one) => one.text)
          .join(" ");
      while (end > start + 1 && !data.known.has(fold(name(end)))) end--;
      if (end > start + 1) {
        const at = [listed[start].at[0], listed[end - 1].at[1]];
        found.push({ kind: "term", text: name(end), whole: true, at: at });
        start = end;
      } else found.push(listed[start++]);
    }
    return found;
  }
  // Parse a search: terms, and, or, not, parentheses; words side by side must all match. What is missing while the
  // reader types is left out.
  function understood(text) {
    const listed = tokens(text);
    let at = 0;
    const kind = () => listed[at]?.kind;
    const joined = (name, parts) => {
      const known = parts.filter(Boolean);
      return known.length > 1 ? { kind: name, of: known } : (known[0] ?? null);
    };
    function either() {
      const parts = [both()];
      while (kind() === "or") {
        at++;
        parts.push(both());
      }
      return joined("or", parts);
    }
    function both() {
      const parts = [];
      while (at < listed.length && kind() !== "or" && kind() !== ")") {
        if (kind() === "and") at++;
        else parts.push(one());
      }
      return joined("and", parts);
    }
    function one() {
      if (kind() === "not") {
        at++;
        if (at >= listed.length || ["or", "and", ")"].includes(kind())) return null;
        return negated(one());
      }
      if (kind() === "(") {
        at++;
        const inner = either();
        if (kind() === ")") at++;
        return inner;
      }
      return { kind: "term", no: false, ...listed[at++] };
    }
    const found = [];
    while (at < listed.length) {
      found.push(either());
      if (kind() === ")") at++; // of nothing
    }
    const tree = joined("and", found);
    // A word of the language alone is a name: "or" may be a concept.
    if (!tree && listed.length === 1 && listed[0].word)
      return { kind: "term", no: false, text: listed[0].word, whole: false, at: listed[0].at };
    return tree;
  }
  function negated(tree) {
    if (!tree) return null;
    if (tree.kind === "term") return { ...tree, no: !tree.no };
    return { kind: tree.kind === "and" ? "or" : "and", of: tree.of.map(negated) };
  }
  function termsOf(tree) {
    return !tree ? [] : tree.kind === "term" ? [tree] : tree.of.flatMap(termsOf);
  }
  // What a term matches: a concept's, neuron's or layer's whole name, or else all that contain it.
  function matcher(term) {
    const word = fold(term.text),
      concepts = new Set();
    data.foldedConcepts.forEach((names, c) => {
      if (names.includes(word)) concepts.add(c);
    });
    let neurons = (i) => data.foldedNeurons[i][0] === word || data.foldedNeurons[i][1] === word;
    const named = data.foldedNeurons.some((_, i) => neurons(i));
    let partial = false;
    if (!term.whole && !concepts.size && !named) {
      partial = true;
      data.foldedConcepts.forEach((names, c) => {
        if (names[0].includes(word) || names[1].includes(word)) concepts.add(c);
      });
      const reasons = data.reasons;
      neurons = (i) =>
        data.foldedNeurons[i][0].includes(word) ||
        data.foldedNeurons[i][1].includes(word) ||
        (data.columns.formula[i] < 0 && reasons[i]?.includes(word));
    }
    const has = (listed) => {
      for (const c of listed) if (concepts.has(c)) return true;
      return false;
    };
    const side = term.no ? "no" : "yes",
      byFormula = data.literals.map((found) => has(found[side]));
    // Not a neuron or layer is any other; not a concept is a formula with its negation.
    const complement = term.no && named && !concepts.size;
    return (i) => {
      const k = data.columns.formula[i];
      if (complement) return !neurons(i);
      return (k >= 0 && byFormula[k]) || (!term.no && (partial || named) && neurons(i));
    };
  }
  // A function that says of each label whether it is found; always true for an empty search.
  function search(text) {
    function compiled(tree) {
      if (tree.kind === "term") return matcher(tree);
      const parts = tree.of.map(compiled);
      return tree.kind === "and" ? (i) => parts.every((part) => part(i)) : (i) => parts.some((part) => part(i));
    }
    const tree = understood(text || "");
    return tree ? compiled(tree) : () => true;
  }
  // The number of single edits between two texts, or more than the most.
  function edits(a, b, most) {
    if (Math.abs(a.length - b.length) > most) return most + 1;
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++)
        next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
      row = next;
    }
    return row[b.length];
  }
  // For a search that finds nothing: how many each term finds by itself, and near names for those that find none.
  function explain(text) {
    const names = new Map();
    data.foldedConcepts.forEach((folded, c) => {
      names.set(folded[1], data.named[c]);
    });
    data.foldedNeurons.forEach((folded, i) => {
      if (!/^\d+$/.test(folded[0])) names.set(folded[0], data.columns.neuron[i]);
    });
    data.layers.forEach((name) => {
      if (name !== null) names.set(fold(name), name);
    });
    return termsOf(understood(text || "")).map((term) => {
      const found = matcher(term);
      let n = 0;
      for (let i = 0; i < data.n; i++) n += found(i);
      const near = [];
      if (!n) {
        const word = fold(term.text),
          most = Math.max(2, Math.floor(word.length / 3));
        names.forEach((name, folded) => {
          const parts = [folded, ...folded.split(" ")].map((part) => edits(word, part, most));
          const distance = folded.includes(word) ? 0.5 : Math.min(parts[0], ...parts.slice(1).map((d) => d + 0.5));
          if (distance <= most) near.push([distance, String(name)]);
        });
        near.sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1));
      }
      const with_ = (name) => text.slice(0, term.at[0]) + quoted(name) + text.slice(term.at[1]);
      return {
        text: (term.no ? "~" : "") + quoted(term.text),
        n: n,
        near: near.slice(0, 5).map(([, name]) => ({ name: name, search: with_(name) })),
      };
    });
  }
  // Other concepts whose names contain a word of a search that is a whole name itself.
  function others(text) {
    const found = new Map();
    termsOf(understood(text || "")).forEach((term) => {
      const word = fold(term.text);
      if (term.whole || !data.foldedConcepts.some((names) => names.includes(word))) return;
      data.foldedConcepts.forEach((names, c) => {
        if (names[1].includes(word) && names[1] !== word && names[0] !== word)
          found.set(data.named[c], text.slice(0, term.at[0]) + quoted(data.named[c]) + text.slice(term.at[1]));
      });
    });
    return [...found].map(([name, search]) => ({ name: name, search: search }));
  }

  return {
    prepare: prepare,
    spelled: spelled,
    quoted: quoted,
    nodes: nodes,
    ofLabel: ofLabel,
    keepsAny: keepsAny,
    treeOf: treeOf,
    textOf: textOf,
    lengthOf: lengthOf,
    signed: signed,
    search: search,
    explain: explain,
    others: others,
    fold: fold,
  };
})();
