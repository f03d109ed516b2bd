"""Tasks whose worker dies, for tests of what then happens; in a module, so that workers can import it."""

import functools
import importlib
import os
import signal
from pathlib import Path


def number_of_call(folder):
    """The number of this call, over all processes: how many files there were in the folder."""
    for number in range(10**6):
        try:
            (Path(folder) / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        return number
    raise AssertionError


def called(module, name, folder, fatal, *arguments):
    """Call a function, unless the number of the call is fatal to the process."""
    if fatal == "every" or number_of_call(folder) in fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return getattr(importlib.import_module(module), name)(*arguments)


def fatal_at(function, folder, *fatal):
    """A function of a module whose calls of these numbers kill their process; all of them without numbers."""
    folder.mkdir()
    return functools.partial(called, function.__module__, function.__qualname__, str(folder), fatal or "every")


def sum_of(shared, columns, x):
    return int(shared["values"].sum()) + int(columns.sum()) + x


def fetched(shared, x):
    """The process, and whether it has seen this object before."""
    known = "seen" in shared
    shared["seen"] = True
    return os.getpid(), known, x


def fails(x):
    raise LookupError(f"no {x}")


def opened(path):
    return Path(path).read_text()
