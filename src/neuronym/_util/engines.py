"""What tasks share, handed to the workers of each joblib backend once, by a small reference."""

from __future__ import annotations

import os
import pickle
import platform
import shutil
import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from neuronym._util.extras import need
from neuronym._util.files import first_line
from neuronym._util.messages import warn
from neuronym.errors import FileError, NeuronymError, OptionError

__all__ = ["Engine", "Outcome", "Shared", "active_engine", "on_scheduler", "outcome_of", "sent", "share", "with_values"]

Value = TypeVar("Value")

_KEPT = 8  # shared objects that a worker process keeps
_ANSWER = 10  # seconds
_PER_WORKER = 4  # calls that are sent at once


class Shared(Generic[Value]):
    """An object that every task gets; see ``share``."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def get(self) -> Value:
        """Return the object."""
        return self.value


def share(value: Value) -> Shared[Value]:
    """Mark an argument of a task as one that all tasks share, so that it is sent to each worker once.

    Parameters
    ----------
    value : object
        What tasks read and do not change. The function that runs is given this object, not the mark.

    Returns
    -------
    Shared
        The mark, for ``parallel_map``.
    """
    return Shared(value)


class _Kept:
    """The shared objects that this process has fetched."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, fetch: Callable[[], Any]) -> Any:
        """Return the object of a key, fetched when it is first asked for."""
        with self._lock:
            if key not in self._values:
                self._values[key] = fetch()
            self._values.move_to_end(key)
            while len(self._values) > _KEPT:
                self._values.popitem(last=False)
            return self._values[key]


_kept = _Kept()


class _InFile:
    """A reference to an object in a file, whose arrays are mapped into memory."""

    def __init__(self, path: str) -> None:
        self.path = path

    def get(self) -> Any:
        import joblib

        return _kept.get(self.path, lambda: joblib.load(self.path, mmap_mode="r"))


class _OnRay:
    """A reference to an object in Ray's store."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference

    def get(self) -> Any:
        import ray

        return _kept.get(self.reference.hex(), lambda: ray.get(self.reference))


class _Run:
    """Consecutive whole numbers, sent as their ends."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def get(self) -> Any:
        return np.arange(self.start, self.stop, dtype=np.intp)


def _compact(value: Any) -> Any:
    """Columns of neurons that follow one another, as their ends."""
    if isinstance(value, np.ndarray) and value.dtype == np.intp and value.ndim == 1 and len(value) > 2:
        first = int(value[0])
        if np.array_equal(value, np.arange(first, first + len(value))):
            return _Run(first, first + len(value))
    return value


class Engine:
    """Where tasks run: threads, which share memory; the backends below do not.

    Parameters
    ----------
    n_jobs : int or None
        The number of workers, as for joblib.
    """

    #: Whether workers are processes, which can die.
    remote = False

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs

    def run(self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]) -> Generator[Value, None, None]:
        """Call a function with each set of arguments; yield what it returns, in order, as soon as it is there."""
        from joblib import Parallel, delayed

        # A generator lets the caller use one result while others are computed.
        run = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")
        yield from run(delayed(function)(*each) for each in calls)

    @contextmanager
    def sharing(self) -> Iterator[Callable[[Shared[Any]], Any]]:
        """Hand out references to shared objects, one for each, which hold until the block ends."""
        yield lambda shared: shared


class _Remote(Engine):
    """Workers with memory of their own, by a backend that nothing is known of: objects travel with each task."""

    remote = True

    def run(self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]) -> Generator[Value, None, None]:
        from joblib import Parallel, delayed, effective_n_jobs
        from joblib.parallel import get_active_backend

        if get_active_backend(prefer="threads")[0].supports_return_generator:
            yield from super().run(function, calls)
            return
        with Parallel(n_jobs=self.n_jobs, prefer="threads") as pool:  # which returns lists: so a few calls at a time
            rest = iter(calls)
            while wave := list(islice(rest, _PER_WORKER * effective_n_jobs(self.n_jobs))):
                yield from pool(delayed(function)(*each) for each in wave)

    @contextmanager
    def sharing(self) -> Iterator[Callable[[Shared[Any]], Any]]:
        known: dict[int, Any] = {}
        with self._sending() as send:

            def reference(shared: Shared[Any]) -> Any:
                if id(shared) not in known:
                    known[id(shared)] = send(shared.value), shared  # which keeps the id from being used again
                return known[id(shared)][0]

            yield reference

    @contextmanager
    def _sending(self) -> Iterator[Callable[[Any], Any]]:
        yield Shared


class _Processes(_Remote):
    """Processes of this machine: objects are files that each maps into memory."""

    @contextmanager
    def _sending(self) -> Iterator[Callable[[Any], Any]]:
        import joblib

        folder = Path(tempfile.mkdtemp(prefix="neuronym-"))
        numbers = count()

        def send(value: Any) -> _InFile:
            path = folder / str(next(numbers))
            joblib.dump(value, path)
            return _InFile(str(path))

        try:
            yield send
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Dask(_Remote):
    """Workers of Dask: objects are sent to all of them."""

    def __init__(self, n_jobs: int | None, backend: Any) -> None:
        super().__init__(n_jobs)
        self._backend, self._client = backend, backend.client

    def run(self, function: Callable[..., Value], calls: Iterable[tuple[Any, ...]]) -> Generator[Value, None, None]:
        # Submitted here, since joblib waits for ever for a task that Dask gives up when its workers die.
        from joblib import effective_n_jobs

        ahead, done, pending, rest = 0, 0, deque[Any](), iter(calls)
        with self._backend.retrieval_context():
            try:
                while True:
                    if done % _PER_WORKER == 0:
                        ahead = _PER_WORKER * effective_n_jobs(self.n_jobs)  # of the workers that there are now
                    for each in islice(rest, max(0, ahead - len(pending))):
                        pending.append(self._client.submit(function, *each, pure=False, **self._backend.submit_kwargs))
                    if not pending:
                        return
                    yield pending.popleft().result()
                    done += 1
            finally:
                self._client.cancel(list(pending))

    @contextmanager
    def _sending(self) -> Iterator[Callable[[Any], Any]]:
        # A future, in whose place Dask puts the object; if all that hold it die, the tasks that need it fail.
        yield lambda value: self._client.scatter([value], broadcast=True, hash=False)[0]


class _Ray(_Remote):
    """Workers of Ray: objects are put into its store."""

    @contextmanager
    def _sending(self) -> Iterator[Callable[[Any], Any]]:
        import ray

        yield lambda value: _OnRay(ray.put(value))


@contextmanager
def on_scheduler(address: str) -> Iterator[None]:
    """Run the tasks of the block on the workers of a Dask scheduler.

    Parameters
    ----------
    address : str
        Where the scheduler listens, such as ``tcp://10.0.0.1:8786``, or the ``.json`` file that it wrote.

    Raises
    ------
    OptionError
        If nothing answers there, or Dask is not installed.
    FileError
        If there is no such file.

    Warns
    -----
    WaitingWarning
        If the scheduler has no worker yet; then the block begins when one has connected.
    """
    need("a scheduler", "dask")
    import joblib
    from distributed import Client

    in_file = address.endswith(".json")
    if in_file and not Path(address).is_file():  # which Dask would wait for
        raise FileError(f"there is no file {address!r}: give the file of the scheduler's --scheduler-file")
    try:
        where = {"scheduler_file" if in_file else "address": address}
        client: Any = Client(**where, timeout=_ANSWER)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(
            f"no Dask scheduler answers at {address!r} ({first_line(error)}): give the address that it prints, such as "
            "tcp://10.0.0.1:8786, or the file of its --scheduler-file"
        ) from None
    with client:
        ready = client.submit(os.getpid, pure=False)  # which an adaptive cluster starts a worker for
        try:
            ready.result(timeout=_ANSWER)
        except TimeoutError:
            warn(f"the scheduler at {address} has no worker yet: waiting for one", WaitingWarning)
            ready.result()
        with joblib.parallel_config("dask", client=client):
            yield


class WaitingWarning(UserWarning):
    """Work waits for something outside."""


def active_engine(n_jobs: int | None) -> Engine:
    """Find where joblib would run tasks that prefer threads.

    Parameters
    ----------
    n_jobs : int or None
        The number of workers, as for joblib; with Ray, None means all of its processors unless ``parallel_config``
        says otherwise, as with Dask.

    Returns
    -------
    Engine
        The engine.
    """
    from joblib import effective_n_jobs
    from joblib.parallel import get_active_backend

    backend, configured = get_active_backend(prefer="threads")
    kind = type(backend).__name__.lower()
    if getattr(backend, "supports_sharedmem", False):
        return Engine(n_jobs)
    if "dask" in kind:
        return _Dask(n_jobs, backend)
    if "ray" in kind:
        return _Ray(-1 if n_jobs is None and configured is None else n_jobs)
    if kind not in ("lokybackend", "multiprocessingbackend"):
        return _Remote(n_jobs)
    return Engine(n_jobs) if effective_n_jobs(n_jobs) == 1 else _Processes(n_jobs)


class Outcome:
    """What a task came to: a result, or an error of its own as against one of the engine."""

    def __init__(self, result: Any = None, error: Exception | None = None) -> None:
        self._result, self._error = result, error

    def get(self) -> Any:
        """Return the result or raise the error."""
        if self._error is not None:
            raise self._error
        return self._result


def with_values(function: Callable[..., Value], *arguments: Any) -> Value:
    """Call a function in this process, with what ``share`` marked in place of the marks."""
    return function(*(one.value if isinstance(one, Shared) else one for one in arguments))


def sent(arguments: tuple[Any, ...], reference: Callable[[Shared[Any]], Any]) -> tuple[Any, ...]:
    """The arguments of a task as they travel to another process; ``reference`` is what ``Engine.sharing`` yields."""
    return tuple(reference(one) if isinstance(one, Shared) else _compact(one) for one in arguments)


def outcome_of(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """Call a function in a worker with arguments that ``sent`` made.

    Raises
    ------
    Exception
        If what is shared cannot be fetched, which is no error of the function.
    """
    worker = f"worker {platform.node()} (process {os.getpid()})"
    try:
        fetched = [one.get() if isinstance(one, _REFERENCES) else one for one in arguments]
    except NeuronymError as error:
        return Outcome(error=type(error)(f"{worker}: {error}"))
    try:
        return Outcome(function(*fetched))
    except FileNotFoundError as error:
        return Outcome(error=FileError(f"{worker} has no {str(error.filename)!r}: {_SAME}"))
    except FileError as error:
        return Outcome(error=FileError(f"{worker}: {error} ({_SAME})"))
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return Outcome(error=RuntimeError(f"{worker}: {type(error).__name__}: {error}"))
        return Outcome(error=error)


_REFERENCES = (Shared, _InFile, _OnRay, _Run)
_SAME = "every worker reads the whole store from this path, so it must be there on each machine"
