"""Damaged files: bytes and values changed at random, by a seed, and what reading them may do.

``python tests/fuzz.py NAME NUMBER`` repeats one, and leaves its file in the folder ``made``.
"""

import contextlib
import csv
import faulthandler
import io
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from file_kinds import USES, read_and_use, write
from neuronym.cli import root as cli
from neuronym.errors import NeuronymError

SEED = 28
SECONDS = 10  # the longest that one file may take
BYTES = 3 * 2**30  # the most memory that reading may take

ODD = [
    None, True, False, "", " ", "x", "1", "NaN", "-1", 0, -1, 1.5, 1e308, float("nan"), float("inf"), 10**400, 2**63,
    -(2**63), 2**31, [], {}, [None], [[]], {"a": 1}, {"": {}}, "\ud800", "\0", "a" * 1000, "~" * 100 + "a", "(a & b",
    "=1+1", "é", [1, "a", None], [{"formula": "a"}], {"dog": ["pug", 3]}, "[1", "{}", "[[1]]", "<f8", "|O", "bytes",
    "a" * 50_000 + " 1", "1" * 50_000 + "x", " " * 50_000 + "x",
]  # fmt: skip
HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (10**12, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 2), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -2), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3, 2), }",
    "{'descr': '<c16', 'fortran_order': 3, 'shape': (3, 1), }", "{'descr': '<U1000000000', 'shape': (3,)}", "{", "[]",
    "{'descr': 'M8[D]', 'fortran_order': False, 'shape': (6, 1), }", "import os", "(" * 300, "[" * 5000, "\0" * 100,
    "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "{'descr': ('<f8',), 'fortran_order': False, "
    "'shape': (6,), }", "{'descr': '<f8', 'fortran_order': False, 'shape': (6, 0), }", "1 +", "'\\ud800'", "{1: 2, 3}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 6), }", "-" * 3000 + "1", "{'a': " * 90 + "1" + "}" * 90,
]  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Change bytes: flip, cut, delete, insert, blank, swap, set or repeat."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        n = len(found)
        if not n:
            break
        a, b = sorted((rng.randrange(n), rng.randrange(n)))
        b = min(b, a + rng.choice([1, 4, 16, 64, n])) + 1
        kind = rng.randrange(10)
        if kind < 2:
            for _ in range(rng.choice([1, 2, 8])):
                found[rng.randrange(n)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del found[a:]
        elif kind == 3:
            del found[a:b]
        elif kind == 4:
            found[a:a] = rng.randbytes(rng.choice([1, 4, 50]))
        elif kind == 5:
            found[a:b] = bytes(b - a)
        elif kind == 6:
            middle = (a + b) // 2
            found[a:b] = found[middle:b] + found[a:middle]
        elif kind == 7:
            found[a] = rng.choice([0, 255, 34, 44, 10])
        elif kind == 8:
            found[a:b] = b"\xff" * (b - a)
        else:
            found[a:a] = found[a:b]
    return bytes(found)


def changed(value: object, rng: random.Random) -> object:
    """Change something inside JSON: replace, drop, add, repeat or wrap a value."""
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or rng.random() < 0.1:
        return rng.choice([*ODD, [value], {"a": value}])
    key = rng.choice(children)
    made = value.copy()
    kind = rng.random()
    if kind < 0.6:
        made[key] = changed(made[key], rng)
    elif kind < 0.7:
        del made[key]
    elif kind < 0.9 or isinstance(made, dict):
        made[key] = rng.choice(ODD)
    else:
        made.insert(key, rng.choice([*made, *ODD]))
    return made


def nested(text: str, rng: random.Random) -> str:
    """Change the text of JSON where its values cannot: deep nesting, and keys that are repeated."""
    if rng.random() < 0.5:
        place = rng.randrange(len(text))
        deep = rng.choice([90, 5000, 100_000])
        return text[:place] + rng.choice("[{") * deep + text[place:]
    return text.replace("{", '{"neuron": 3, "id": [], "shape": [2], ', 1 + rng.randrange(3))


def json_damaged(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return nested(data.decode(), rng).encode()
    value = json.loads(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        value = changed(value, rng)
    return json.dumps(value).encode()


def table_damaged(data: bytes, rng: random.Random) -> bytes:
    """Change cells, rows and columns of a text table."""
    sign = b"\t" if b"\t" in data else b" " if b"," not in data else b","
    rows = list(csv.reader(io.StringIO(data.decode()), delimiter=sign.decode()))
    rows = [row for row in rows if row] or [["a"]]
    for _ in range(rng.choice([1, 1, 2, 4])):
        row = rng.choice(rows)
        kind = rng.randrange(7)
        if kind < 3 and row:
            odd = rng.choice(ODD)
            row[rng.randrange(len(row))] = str(odd if not isinstance(odd, dict | list) else json.dumps(odd))
        elif kind == 3 and row:
            del row[rng.randrange(len(row))]
        elif kind == 4:
            row.insert(rng.randrange(len(row) + 1), rng.choice([*row, "", "1"]))
        elif kind == 5:
            rows.insert(rng.randrange(len(rows)), list(row))
        elif row:
            place = rng.randrange(len(row))
            for one in rows:
                one.insert(0, one[place] if place < len(one) else "")
    out = io.StringIO()
    csv.writer(out, delimiter=sign.decode()).writerows(rows)
    return out.getvalue().encode(errors=rng.choice(["surrogatepass", "replace"]))


def array_damaged(data: bytes, rng: random.Random) -> bytes:
    """Change the header of an .npy file."""
    text = rng.choice(HEADERS).encode()
    if rng.random() < 0.3:
        text = damaged(data[10 : data.index(b"\n")], rng)
    return data[:8] + len(text).to_bytes(2, "little")[:2] + text + data[data.index(b"\n") :]


def archive_damaged(data: bytes, rng: random.Random) -> bytes:
    """Change the members of a zip archive, whose checksums then fit."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", rng.choice([0, 8])) as new:
        for name in old.namelist():
            member = old.read(name)
            if rng.random() < 0.5:
                change = array_damaged if name.endswith(".npy") and rng.random() < 0.7 else damaged
                member = change(member, rng)
            if rng.random() < 0.9:
                new.writestr(name if rng.random() < 0.95 else name + "x", member)
    return out.getvalue()


def parquet_damaged(data: bytes, rng: random.Random) -> bytes:
    """Change the metadata, the names or the types of the columns of a Parquet file."""
    table = pq.read_table(io.BytesIO(data))
    described = dict(table.schema.metadata or {b"pandas": b"{}"})
    key = rng.choice(list(described))
    kind = rng.randrange(4)
    if kind == 0:
        described[key] = json_damaged(described[key], rng)
    elif kind == 1:
        described[key] = damaged(described[key], rng)
    else:
        place = rng.randrange(table.num_columns)
        n = table.num_rows
        values = [rng.choice(ODD) for _ in range(n)]
        columns = [
            pa.array([str(one).encode(errors="replace").decode() for one in values]), pa.nulls(n),
            pa.array([[1]] * n), pa.array([{"a": None}] * n), pa.array([b"\xff"] * n),
            pa.array([2**63] * n, pa.uint64()), pa.array([2**62] * n, pa.timestamp("ms")),
            pa.array([0] * n, pa.timestamp("s")), pa.array(["a"] * n).dictionary_encode(), pa.array([True] * n),
            pa.array([float("nan")] * n, pa.float16()), table.column(rng.randrange(table.num_columns)),
            pa.array([0] * n, pa.duration("s")), pa.array([10**20] * n, pa.decimal128(38)),
        ]  # fmt: skip
        name = table.column_names[rng.randrange(table.num_columns) if rng.random() < 0.2 else place]
        table = table.set_column(place, name, rng.choice(columns))
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(described), out)
    return out.getvalue()


STRUCTURED = {
    ".json": json_damaged, ".csv": table_damaged, ".tsv": table_damaged, ".txt": table_damaged, ".npy": array_damaged,
    ".npz": archive_damaged, ".parquet": parquet_damaged, ".pt": archive_damaged, ".conll": table_damaged,
    ".conllu": table_damaged, ".zarray": json_damaged, ".zattrs": json_damaged,
}  # fmt: skip


def mutate(path: Path, rng: random.Random) -> None:
    """Damage a file, or one or two files of a folder."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    for one in rng.sample(files, rng.choice([1, 1, 2]) if len(files) > 1 else 1):
        change = STRUCTURED.get(one.suffix or one.name, damaged)
        data = one.read_bytes()
        if len(files) > 1 and rng.random() < 0.05:
            one.unlink()
        elif rng.random() < 0.5 and not (change is archive_damaged and not data.startswith(b"PK")):
            one.write_bytes(change(data, rng))
        else:
            one.write_bytes(damaged(data, rng))


def make(name: str, number: int, folder: Path, originals: dict[str, Path]) -> Path:
    """Write the damaged file of a number."""
    original = originals[name]
    target = folder / "made"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(original, target)
    mutate(target / name, random.Random(f"{SEED} {name} {number}"))
    return target / name


def outcome(act, *arguments) -> str | None:
    """What an action does that it must not, with a traceback; None if it succeeds or raises one of our errors."""
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    start = time.monotonic()
    try:
        act(*arguments)
    except NeuronymError as error:
        if "\n" in str(error).strip():
            return f"a message of several lines: {error}"
    except Exception:
        return traceback.format_exc()
    finally:
        faulthandler.cancel_dump_traceback_later()
    return f"{time.monotonic() - start:.1f} s" if time.monotonic() - start > SECONDS else None


def limit_memory() -> None:
    """Let this process take a limited amount of memory beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(first: int, last: int, folder: Path) -> None:
    """Read damaged files of every kind; print each before it is read, and what went wrong."""
    warnings.simplefilter("ignore")
    originals = {name: folder / name.replace(".", "_") for name in USES}
    for name, place in originals.items():
        place.mkdir()
        write(name, place)
        read_and_use(place / name)  # which also loads what readers need
    limit_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wrong: Counter[str] = Counter()
    for number in range(first, last):
        for name in USES:
            print(f"reading {name} {number}", flush=True)
            path = make(name, number, folder, originals)
            found = outcome(read_and_use, path)
            if found is not None:
                wrong[name] += 1
                print(f"WRONG {name} {number}\n{found}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"DONE {(last - first) * len(USES)} files, {wrong.total()} wrong; {dict(wrong)}")
    print(f"memory {before / 1024:.0f} MiB, then at most {peak / 1024:.0f} MiB")


OUT = ["--overwrite", "--out", "made.parquet"]
DISSECT = ["--align", "--min-count=1", "--quantile=0.5", "--overwrite", "--out=l.csv"]
REPORT = ["report", "labels.json", "--overwrite", "--out", "page", "--quiet"]
COMMANDS = {  # what reads a file of each kind, beside whole files of the other kinds
    "labels": [["show", "{}"], ["show", "{}", "3", "--json"], ["report", "{}", *REPORT[2:]]],
    "a": [["label", "{}", "hot.csv", "--by-position", "--length=1", "--min-count=1", "--overwrite", "--out=l.csv"],
          ["concepts", "scores", "{}", "--threshold=1", *OUT]],
    "v2": [["concepts", "scores", "{}", "--threshold=1", *OUT]],
    **{name: [["label", "{}", "many.csv", "--by-position", "--length=1", "--min-count=1", "--overwrite", "--out=l.csv"]]
       for name in ("sparse", "dense", "0_2", "tensor", "cells", "set")},
    "b": [["label", "{}", "hot.csv", "--by-position", "--length=1", "--min-count=1", "--overwrite", "--out=l.csv"]],
    "part": [["merge", "{}", "--overwrite", "--out=l.csv"], ["show", "{}"]],
    "pairs": [["show", "{}"], ["concepts", "show", "{}"]],
    "c": [["concepts", "show", "{}"]],
    "long": [["concepts", "show", "{}"], ["concepts", "table", "{}", *OUT]],
    "hot": [["concepts", "table", "{}", *OUT],
            ["label", "a.csv", "{}", "--min-count=1", "--overwrite", "--out=l.json"]],
    "attributes": [["concepts", "table", "{}", "--attributes", *OUT]],
    "texts": [["concepts", "regex", "{}", "--pattern", "one=one", *OUT]],
    "tokens": [["concepts", "tags", "tags.conll", "{}", *OUT]],
    "tags": [["concepts", "tags", "{}", "tokens.csv", *OUT]],
    "rows": [[*REPORT, "--activations", "numbered.csv", "--samples", "{}"]],
    "coco": [["concepts", "coco", "{}", *OUT]],
    "maps": [["dissect", "{}", "boxes.txt", "--size=4x6", *DISSECT]],
    "methods": [[*REPORT, "--methods", "{}"]],
    "masks": [["dissect", "whole.zarr", "{}", *DISSECT]],
    "boxes": [["dissect", "whole.zarr", "{}", "--size=4x6", *DISSECT],
              ["methods", "whole.zarr", "{}", "--size=4x6", "--align", "--overwrite", "--out=m.json"]],
    "map": [["dissect", "whole.zarr", "{folder}", "--classes=values.csv", "--by-position", *DISSECT[1:]]],
    "values": [["dissect", "whole.zarr", "{folder}", "--classes={}", "--by-position", *DISSECT[1:]]],
    "index": [["dissect", "whole.zarr", "{folder}", *DISSECT]],
    "label": [["dissect", "whole.zarr", "{folder}", "--category=scene", *DISSECT]],
    "annotations": [["concepts", "annotations", "{}", *OUT]],
    "names": [[*REPORT, "--names", "{}"]],
    "data": [["concepts", "annotations", "synsets.txt", "--wordnet-files", "{folder}", *OUT]],
    "hierarchy": [["concepts", "table", "long.csv", "--hierarchy", "{}", "--min-classes=1", *OUT]],
    "circuit": [[*REPORT, "--circuit", "{}"]],
    "neurons": [[*REPORT, "--findings", "{folder}"]],
    "classes": [[*REPORT, "--findings", "{folder}"]],
    "photo": [[*REPORT, "--activations", "pictured{suffix}.csv", "--samples", "{folder}"]],
    "weights": [["collect", "--model=file_kinds:network", "--weights", "{}", "--table=rows.npy", "--layers=0",
                 "--overwrite", "--out=made.zarr", "--quiet"]],
    "old": [["collect", "--model=file_kinds:network", "--weights", "{}", "--table=rows.npy", "--layers=0",
             "--overwrite", "--out=made.zarr", "--quiet"]],
}  # fmt: skip


GIVEN = [name for name in USES if name != "classes.txt"]  # kinds of file that the command reads


def call(arguments: list[str]) -> None:
    """Run the command as a user does; an error must be one line on standard error."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["neuronym", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stopped:
            code = stopped.code
    said = [line for line in err.getvalue().splitlines() if line.startswith("neuronym: ")]
    if code not in (0, 2) or (code == 2 and not said):
        raise AssertionError(f"exit code {code}: {err.getvalue()[-500:]}")


def run_command(first: int, last: int, folder: Path) -> None:
    """Give damaged files of every kind to the command."""
    os.chdir(folder)
    originals = {name: folder / "kinds" / name.replace(".", "_") for name in GIVEN}
    for name, place in originals.items():
        place.mkdir(parents=True)
        path = write(name, place)
        if path.is_file():
            shutil.copy(path, folder)
        Path(f"pictured{path.suffix}.csv").write_text(f"sample,3\n{name},1\n")
    write("maps.zarr", Path("kinds")).rename("whole.zarr")
    Path("many.csv").write_text("a,b\n" + "0,1\n1,0\n" * 100)
    Path("numbered.csv").write_text("sample,3,4\na,1,2\nb,3,4\nc,5,6\n")
    Path("synsets.txt").write_text("a.jpg n00001930\nb.jpg n00001740\n")
    np.save("rows.npy", np.eye(3))
    wrong = n_done = 0
    for number in range(first, last):
        for name in originals:
            commands = COMMANDS[name.partition(".")[0]]
            arguments = commands[number % len(commands)]
            place = make(name, number, folder, originals)
            given = [one.format(place, folder=place.parent, suffix=place.suffix) for one in arguments]
            print(f"reading {name} {number}: {' '.join(given)}", flush=True)
            found = outcome(call, given)
            n_done += 1
            if found is not None:
                wrong += 1
                print(f"WRONG {name} {number}\n{found}", flush=True)
    print(f"DONE {n_done} files, {wrong} wrong")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        if sys.argv[1] in USES:
            name, number = sys.argv[1], int(sys.argv[2])
            (Path(scratch) / name).mkdir()
            write(name, Path(scratch) / name)
            path = make(name, number, Path(), {name: Path(scratch) / name})
            print(path, outcome(read_and_use, path))
        elif sys.argv[1] == "command":
            run_command(int(sys.argv[2]), int(sys.argv[3]), Path(scratch))
        else:
            run(int(sys.argv[1]), int(sys.argv[2]), Path(scratch))
