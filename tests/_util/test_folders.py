"""Folders are old or new, and complete, and nothing that we did not write is deleted."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from neuronym import FileError
from neuronym._util import folders, locks
from neuronym._util.files import writing, writing_together
from neuronym._util.folders import MANIFEST, check_folder, replacing


def made(path, text="old", overwrite=False, **options):
    with replacing(path, "report", overwrite, **options) as folder:
        (folder / "index.html").write_text(text)
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / f"{text}.js").write_text(text)
    return path


def contents(root):
    """Each file below a folder, hidden ones too, with its text; the folders end with a slash."""
    paths = sorted(root.rglob("*"))
    return {
        path.relative_to(root).as_posix() + "/" * path.is_dir(): None if path.is_dir() else path.read_text()
        for path in paths
    }


def test_a_folder_takes_its_name_when_it_is_complete_and_lists_its_files(tmp_path):
    with replacing(tmp_path / "out", "report") as folder:
        (folder / "empty" / "deep").mkdir(parents=True)
        (folder / "a.txt").write_text("abc")
        assert folder.parent == tmp_path
        assert not (tmp_path / "out").exists()
    manifest = {"format": 1, "kind": "report", "files": {"a.txt": 3}}
    assert json.loads((tmp_path / "out" / MANIFEST).read_text()) == manifest
    assert list(contents(tmp_path)) == ["out/", f"out/{MANIFEST}", "out/a.txt"]


def test_an_old_folder_is_replaced_only_when_asked_and_wholly(tmp_path):
    made(tmp_path / "out")
    before = contents(tmp_path)
    with pytest.raises(FileError, match="exists: choose another name, or replace it with overwrite=True"):
        made(tmp_path / "out", "new")
    assert contents(tmp_path) == before
    made(tmp_path / "out", "new", overwrite=True)
    assert list(contents(tmp_path)) == ["out/", f"out/{MANIFEST}", "out/data/", "out/data/new.js", "out/index.html"]
    (tmp_path / "empty").mkdir()
    made(tmp_path / "empty")
    assert (tmp_path / "empty" / "index.html").read_text() == "old"


def prepare_foreign(root, name):
    root.mkdir()
    out = root / "out"
    if name == "link":
        made(root / "real")
        out.symlink_to(root / "real")
    elif name == "dangling link":
        out.symlink_to(root / "nothing")
    elif name == "file":
        out.write_text("mine")
    elif name == "folder without a manifest":
        (out / "data").mkdir(parents=True)
        (out / "data" / "index.js").write_text("mine")
    elif name == "pipe":
        os.mkfifo(made(out) / "pipe")
    elif name == "parent missing":
        return root / "none" / "out"
    else:
        made(out)
    changes = {
        "file in it": lambda: (out / "notes.txt").write_text("mine"),
        "file below": lambda: (out / "data" / "notes.txt").write_text("mine"),
        "empty folder in it": lambda: (out / "mine").mkdir(),
        "link in it": lambda: (out / "link").symlink_to(out / "data"),
        "link in place of a file": lambda: link_to_own(out / "index.html", root),
        "other kind": lambda: (out / MANIFEST).write_text('{"format": 1, "kind": "circuit", "files": {}}'),
        "later format": lambda: (out / MANIFEST).write_text('{"format": 2, "kind": "report", "files": {}}'),
        "broken manifest": lambda: (out / MANIFEST).write_text("{"),
        "odd manifest": lambda: (out / MANIFEST).write_text("[1]"),
        "manifest of nothing": lambda: (out / MANIFEST).write_text('{"format": 1, "kind": "report", "files": null}'),
        "deep manifest": lambda: (out / MANIFEST).write_text("[" * 100_000),
        "no manifest": lambda: (out / MANIFEST).unlink(),
    }
    changes.get(name, lambda: None)()
    return out


def link_to_own(path, root):
    path.unlink()
    (root / "thesis.txt").write_text("mine")
    path.symlink_to(root / "thesis.txt")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("link", "is a link, so name the folder itself"),
        ("dangling link", "is a link, so name the folder itself"),
        ("file", "exists and is not a folder"),
        ("folder without a manifest", "exists and is not a report with a list of its files.*: delete it yourself"),
        ("pipe", "holds 'pipe', which neuronym did not write"),
        ("parent missing", "there is no folder .*none', so make it first"),
        ("file in it", r"holds 'notes\.txt', which neuronym did not write: move what is yours"),
        ("file below", r"holds 'data/notes\.txt', which"),
        ("empty folder in it", "holds 'mine/', which"),
        ("link in it", "holds 'link', which"),
        ("link in place of a file", r"holds 'index\.html', which"),
        ("other kind", "exists and is not a report"),
        ("later format", "exists and is not a report"),
        ("broken manifest", "exists and is not a report"),
        ("odd manifest", "exists and is not a report"),
        ("manifest of nothing", "exists and is not a report"),
        ("deep manifest", "exists and is not a report"),
        ("no manifest", "exists and is not a report"),
    ],
)
def test_what_is_not_ours_alone_is_refused_and_left_as_it_is(tmp_path, name, match):
    out = prepare_foreign(tmp_path / "root", name)
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    for refuse in (lambda: check_folder(out, "report", True), lambda: made(out, "new", overwrite=True)):
        with pytest.raises(FileError, match=match):
            refuse()
    after = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    assert [path for path, _ in after] == [path for path, _ in before]
    assert {time for path, time in after if not path.is_dir()} == {time for path, time in before if not path.is_dir()}


def test_impossible_paths_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, match in (
        ("a\0b", "NUL"),
        ("a\ud800b", "half of a character"),
        ("x" * 300, "too long"),
        (".", "in use as the current folder"),
        ("..", "in use as the current folder|not a report"),
    ):
        with pytest.raises(FileError, match=match):
            made(path, overwrite=True)
    made("y" * 255)  # the longest that a name can be
    made("y" * 255, "new", overwrite=True)
    assert list(contents(tmp_path / ("y" * 255))) == [MANIFEST, "data/", "data/new.js", "index.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["y" * 255]


def appear(path):
    path.mkdir()
    (path / "thesis.txt").write_text("all of it")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("empty", [False, True])
def test_a_folder_that_appears_meanwhile_is_left_alone(tmp_path, monkeypatch, overwrite, empty):
    finish = folders._finish

    def late(*arguments):
        finish(*arguments)
        (tmp_path / "out").mkdir() if empty else appear(tmp_path / "out")

    monkeypatch.setattr(folders, "_finish", late)
    if empty:  # which no one can lose anything by
        made(tmp_path / "out", overwrite=overwrite)
        return
    with pytest.raises(FileError, match="exists and is not a report"):
        made(tmp_path / "out", overwrite=overwrite)
    assert contents(tmp_path) == {"out/": None, "out/thesis.txt": "all of it"}


@pytest.mark.parametrize("linux", [True, False])
def test_even_in_the_last_moment(tmp_path, monkeypatch, linux):
    rename = folders._rename

    def late(build, target):
        appear(target)
        rename(build, target)

    if not linux:
        monkeypatch.setattr(folders, "_renameat2", lambda *_: False)
    monkeypatch.setattr(folders, "_rename", late)
    with pytest.raises(FileError, match="was made by another program meanwhile and is left as it is"):
        made(tmp_path / "out")
    assert contents(tmp_path) == {"out/": None, "out/thesis.txt": "all of it"}


@pytest.mark.parametrize("linux", [True, False])
def test_a_file_that_is_put_into_the_old_folder_in_the_last_moment_is_not_lost(tmp_path, monkeypatch, linux):
    made(tmp_path / "out")
    exchange = folders.exchange

    def late(build, target):
        if (target / "data" / "old.js").exists():
            (target / "notes.txt").write_text("mine")
        exchange(build, target)

    if not linux:
        monkeypatch.setattr(folders, "_renameat2", lambda *_: False)
    monkeypatch.setattr(folders, "exchange", late)
    with pytest.raises(FileError, match=r"holds 'notes\.txt', which"):
        made(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "out" / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("linux", [True, False])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.EIO, "broken")])
def test_an_interruption_at_any_call_leaves_the_old_or_the_new(tmp_path, monkeypatch, linux, stop):
    """Ctrl-C between any two renames, deletions and changes of permissions."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # which takes its time
    possible = [contents(made(tmp_path / text, text)) for text in ("old", "new")]
    out, left, nth = tmp_path / "here" / "out", True, 0
    (tmp_path / "here").mkdir()
    while left:  # until it is no longer reached
        nth += 1
        made(out, "old", overwrite=True)
        assert [path.name for path in out.parent.iterdir()] == ["out"]  # what the last one left was removed
        left = interrupted_at(nth, lambda: made(out, "new", overwrite=True), monkeypatch, stop, linux)
        assert contents(out) in possible
    assert nth > 30


def interrupted_at(nth, run, monkeypatch, stop, linux):
    """Run, with an error in place of the nth call of the system; whether it was reached."""
    calls = 0

    def counting(real):
        def call(*arguments, **more):
            nonlocal calls
            calls += 1
            if calls == nth:
                raise stop
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patch, suppress(FileError, KeyboardInterrupt):
        if not linux:
            patch.setattr(folders, "_renameat2", lambda *_: False)
        for name in ("rename", "replace", "unlink", "rmdir", "mkdir", "chmod", "fsync", "link", "open"):
            patch.setattr(os, name, counting(getattr(os, name)))
        run()
    return calls >= nth


def test_what_a_killed_run_left_is_recognised_and_removed_and_nothing_else(tmp_path):
    made(tmp_path / "out")
    build, other = tmp_path / ".out.neuronym-0123456789abcdef.new", tmp_path / ".out.neuronym-mine.new"
    (build / "data").mkdir(parents=True)
    (build / "data" / "a").write_text("half")
    folders._write_manifest(build, "report", None)
    made(tmp_path / ".out.neuronym-00000000000000aa.old")
    (tmp_path / ".out.neuronym-lock").write_text("")
    (tmp_path / ".out.neuronym-00000000000000bb.new").mkdir()
    kept = [other, tmp_path / ".outer.neuronym-0123456789abcdef.new", tmp_path / ".out.neuronym-00000000000000cc.new"]
    for path in kept:  # other names, and no manifest
        appear(path)
    link = tmp_path / ".out.neuronym-00000000000000dd.new"
    link.symlink_to(other)
    made(tmp_path / "out", "new", overwrite=True)
    assert {path for path in tmp_path.iterdir() if path.name != "out"} == {*kept, link}
    assert all((path / "thesis.txt").read_text() == "all of it" for path in kept)


def test_what_was_moved_aside_is_put_back(tmp_path):
    made(tmp_path / "out").rename(tmp_path / ".out.neuronym-0123456789abcdef.old")
    with pytest.raises(FileError, match="exists: choose another name"):
        made(tmp_path / "out", "new")
    assert (tmp_path / "out" / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_manifest_deletes_nothing_outside_of_its_folder(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    out = made(tmp_path / "out")
    found = json.loads((out / MANIFEST).read_text())
    found["files"] |= {"../thesis.txt": 9, str(tmp_path / "thesis.txt"): 9}
    (out / MANIFEST).write_text(json.dumps(found))
    made(out, "new", overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "all of it"


def test_the_second_of_two_runs_is_refused_until_the_first_has_ended(tmp_path):
    with replacing(tmp_path / "out", "report") as folder:
        (folder / "a").write_text("")
        before = contents(tmp_path)
        refused = []

        def second():
            try:
                made(tmp_path / "out", overwrite=True)
            except FileError as error:
                refused.append(str(error))

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        assert refused == [f"another run is writing to {str(tmp_path / 'out')!r}: wait for it, or choose another name"]
        assert contents(tmp_path) == before
    made(tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "other"}


def test_the_lock_of_a_killed_run_is_not_believed(tmp_path):
    code = f"""
import os, signal
from neuronym._util.folders import replacing
with replacing({str(tmp_path / "out")!r}, "report") as folder:
    (folder / "a").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    made(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_locks_nothing_is_cleaned_up(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    left = tmp_path / ".out.neuronym-0123456789abcdef.new"
    left.mkdir()
    made(tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out", left.name}


def test_calls_for_the_same_path_join(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replacing("out", "report") as outer, replacing(tmp_path / "out", "report") as inner:
        assert inner == outer
        with replacing(outer / "part", "circuit") as other:
            (other / "b").write_text("b")
    assert list(contents(tmp_path)) == ["out/", f"out/{MANIFEST}", "out/part/", f"out/part/{MANIFEST}", "out/part/b"]
    with pytest.raises(FileError, match="'out' exists"):
        made("out")


def test_costly_parts_are_taken_from_the_old_folder_or_from_a_run_that_was_stopped(tmp_path):
    def start(stop=None, text=None):
        with replacing(tmp_path / "out", "report", True, keep=["store"]) as folder:
            found = (folder / "store" / "a").read_text() if (folder / "store").exists() else None
            if text is not None:
                (folder / "store").mkdir()
                (folder / "store" / "a").write_text(text)
            if stop is not None:
                raise stop
        return found

    with pytest.raises(KeyboardInterrupt):
        start(KeyboardInterrupt, "half")
    assert not (tmp_path / "out").exists()
    assert start() == "half"
    inode = (tmp_path / "out" / "store" / "a").stat().st_ino
    assert start() == "half"
    assert (tmp_path / "out" / "store" / "a").stat().st_ino == inode
    with pytest.raises(FileError, match="No space left on device; nothing was written"):
        start(OSError(errno.ENOSPC, "full"))
    assert start() == "half"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_errors_name_the_target_and_not_what_is_beside_it(tmp_path):
    with pytest.raises(FileError, match=f"^{tmp_path}/out/a.txt is full$"), replacing(tmp_path / "out", "x") as folder:
        raise FileError(f"{folder / 'a.txt'} is full")
    with (
        pytest.raises(FileError, match=r"cannot write .*out': Permission denied; nothing was written"),
        replacing(tmp_path / "out", "x") as folder,
    ):
        raise PermissionError(errno.EACCES, "", str(folder / "a"))
    with pytest.raises(PermissionError), replacing(tmp_path / "out", "x"):  # of something that is read
        raise PermissionError(errno.EACCES, "", "/photos/1.png")
    with pytest.raises(BrokenPipeError), replacing(tmp_path / "out", "x"):
        raise BrokenPipeError
    assert list(tmp_path.iterdir()) == []


def modes(root):
    return {path.relative_to(root).as_posix(): path.stat().st_mode & 0o7777 for path in [root, *root.rglob("*")]}


def test_permissions_are_kept(tmp_path):
    mask = os.umask(0o027)
    try:
        out = made(tmp_path / "out", "same")
        assert modes(out) == {".": 0o750, MANIFEST: 0o640, "data": 0o750, "data/same.js": 0o640, "index.html": 0o640}
        for path, mode in ((out, 0o2775), (out / "data", 0o770), (out / "index.html", 0o604), (out / MANIFEST, 0o600)):
            path.chmod(mode)
        before = modes(out)
        assert modes(made(out, "same", overwrite=True)) == before
        path = tmp_path / "a.csv"
        for mode in (None, 0o604, 0o400, 0o660):
            if mode is not None:
                path.chmod(mode)
            with writing(path, overwrite=True) as temporary:
                temporary.write_text("a")
            assert path.stat().st_mode & 0o777 == (0o640 if mode is None else mode)
    finally:
        os.umask(mask)


def test_files_written_together_are_all_old_if_one_fails(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.csv"]
    for path in paths:
        path.write_text("old")

    def fill():
        with writing_together(paths, overwrite=True) as temporaries:
            temporaries[0].write_text("new")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(FileError, match=r"cannot write .*a\.png', .*b\.csv': No space left"):
        fill()
    with pytest.raises(FileError, match="exists"), writing_together(paths):
        pass
    with writing_together(paths, overwrite=True) as temporaries:
        for temporary in temporaries:
            temporary.write_text("old")
        with pytest.raises(locks.BusyError), writing(paths[1], overwrite=True):
            pass
    assert contents(tmp_path) == {"a.png": "old", "b.csv": "old"}


def test_the_temporary_file_of_a_killed_run_is_removed_by_the_next(tmp_path):
    left = tmp_path / ".a.csv.neuronym-0123456789abcdef.tmp"
    mine = tmp_path / ".a.csv.neuronym-mine.tmp"
    for path in (left, mine):
        path.write_text("half")
    with writing(tmp_path / "a.csv") as temporary:
        temporary.write_text("a")
    assert contents(tmp_path) == {mine.name: "half", "a.csv": "a"}
