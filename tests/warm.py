"""A warm process that runs commands in forks of itself, which can be killed at any call of the file system.

``Warm`` starts this file as a process of its own, which has one thread and has imported everything, so that a run takes
milliseconds. Flushing to the disk is left out, since a kill loses nothing that was written.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class Warm:
    """The side of the tests: each request returns a reply for each command, with its status, calls and errors."""

    def __init__(self):
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": kept | one}
        self.process = subprocess.Popen([sys.executable, __file__], **options)

    def __call__(self, root, *commands, nth=0, size=None):
        """Run commands in a folder at once, killed at the nth call, or unable to write files of more than a size."""
        request = {"root": str(root), "commands": [list(map(str, one)) for one in commands], "nth": nth, "size": size}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        replies = json.loads(self.process.stdout.readline())
        return replies if len(commands) > 1 else replies[0]

    def close(self):
        with self.process:
            self.process.stdin.close()


class Counter:
    """Counts the calls that change files below a folder, and kills its own process in place of the nth."""

    def __init__(self, root, nth):
        self.root, self.nth, self.calls = root, nth, 0

    def count(self):
        self.calls += 1
        if self.calls == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(self, event, arguments):
        if event == "open":
            path, mode, flags = arguments
            changes = flags & WRITES if mode is None else set(mode) & set("wax+")
        else:
            path, changes = (arguments or [""])[0], event in CHANGES or event.startswith("shutil.")
        if changes and isinstance(path, str | bytes | os.PathLike):
            name = os.fsdecode(path)
            if not Path(name).is_absolute() or name.startswith(self.root):
                self.count()

    def before(self, function):
        def counted(*arguments, **options):
            self.count()
            return function(*arguments, **options)

        return counted


def warm_up():
    import matplotlib.figure
    import numpy as np
    import torch

    import neuronym
    from neuronym.cli import root

    gc.disable()
    torch.set_num_threads(1)
    for name in root.COMMANDS:
        importlib.import_module(f"neuronym.cli.{name}")
    values = np.random.default_rng(0).normal(size=(40, 2))
    neuronym.label(values, values > 0, n_jobs=1, holdout=0.5)
    matplotlib.figure.Figure.savefig = save_points
    os.fsync = lambda _: None
    assert threading.active_count() == 1


def save_points(figure, path, **_):
    """In place of a picture, which takes its time: the points of its lines."""
    points = [line.get_xydata().tolist() for axes in figure.axes for line in axes.lines]
    Path(path).write_text(json.dumps(points))


def run(request, command, go, replies, errors):
    """Run a command in this fork, and report."""
    from neuronym._util import folders
    from neuronym.cli import root

    os.chdir(request["root"])
    sys.path.insert(0, request["root"])
    silent = os.open(os.devnull, os.O_RDWR)
    for number, stream in ((0, silent), (1, silent), (2, errors)):
        os.dup2(stream, number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    if request["size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["size"],) * 2)
    os.read(go, 1)  # all at once
    counter = Counter(request["root"] + os.sep, request["nth"])
    os.fsync, folders._renameat2 = counter.before(os.fsync), counter.before(folders._renameat2)
    sys.addaudithook(counter.hook)
    sys.argv = ["neuronym", *command]
    try:
        root.main()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 99
    counter.nth = 0
    modules = [name for name in sys.modules if name != "mine_kills"]
    os.write(replies, json.dumps({"calls": counter.calls, "code": code, "modules": modules}).encode())


def serve():
    warm_up()
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        request = json.loads(line)
        answers, (go, start), children = [], os.pipe(), []
        gc.freeze()  # so that forks share the memory
        for command in request["commands"]:
            pipes = os.pipe(), os.pipe()
            process = os.fork()
            if not process:
                try:
                    os.close(start)
                    run(request, command, go, *[theirs for _, theirs in pipes])
                finally:
                    os._exit(98)
            for _, theirs in pipes:
                os.close(theirs)
            children.append((process, [ours for ours, _ in pipes]))
        os.close(start)
        os.close(go)
        for process, pipes in children:
            texts = []
            for ours in pipes:
                with os.fdopen(ours) as pipe:
                    texts.append(pipe.read())
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            answer = json.loads(texts[0]) if texts[0] else {"code": status}
            for name in sorted(set(answer.pop("modules", ())) - set(sys.modules)):  # so that the next run is warmer
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
            answers.append(answer | {"errors": texts[1]})
        replies.write(json.dumps(answers) + "\n")
        replies.flush()


if __name__ == "__main__":
    serve()
