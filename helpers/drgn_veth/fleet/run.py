# SPDX-License-Identifier: LGPL-2.1-or-later
"""
All dumps, by Dask
------------------

Dask has the queue, the workers, and the tries of a task whose worker has died. Here is
how its client is used, and what becomes of a task that cannot be done.
"""

import asyncio
from collections.abc import Iterator, Sequence
import contextlib
import logging
import secrets
import sys
import threading
import time
from typing import Any, Callable, Optional
import warnings

import dask
from distributed import Client, LocalCluster, as_completed
from distributed.comm.core import connect
from distributed.diagnostics.progressbar import progress
from distributed.scheduler import KilledWorker
from distributed.security import Security

from .folder import OutputError
from .reader import ReaderError
from .results import write_file
from .task import Job, read
from .told import CRASHED, Told

__all__ = ("ClusterError", "cluster", "has_workers", "of_failed", "run")

_WAIT = 10  # seconds for a scheduler to answer
_RETRIES = 3  # of a task that fails, though no dump makes it fail
_START = 120  # for what is started here
_CONFIG = {
    "distributed.logging": {"distributed": "critical"},
    # A worker has one dump, and not the next one too, should the first kill it.
    "distributed.scheduler.worker-saturation": 1.0,
    # No process is told to go on with another file system.
    "distributed.worker.use-file-locking": False,
    # A machine may be busy while workers start.
    "distributed.comm.timeouts.connect": f"{_START}s",
    "distributed.comm.timeouts.tcp": f"{_START}s",
}


# Seconds after which Dask's bar has seen all tasks, also those that are done.
_SEEN = 3.0


class ClusterError(Exception):
    """The workers cannot be used."""


def _be_quiet() -> None:
    # What goes wrong becomes one line of ours.
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


@contextlib.contextmanager
def _local(workers: int, scratch: str) -> Iterator[Client]:
    # Whoever can talk to a scheduler can run what they like: others on this machine
    # need the key.
    try:
        local = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,  # The process that reads has a limit.
            dashboard_address=None,
            local_directory=scratch,
            silence_logs=logging.CRITICAL,
            host="127.0.0.1",
            security=True,
        )
    except Exception as e:
        raise ClusterError(f"Dask cannot start {workers} workers: {_said(e)}") from None
    with local, Client(local, timeout=_START) as client:
        yield client


async def _reach(address: str) -> None:
    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=_WAIT, **arguments)
    await comm.close()


@contextlib.contextmanager
def _remote(address: str) -> Iterator[Client]:
    try:
        # A client that fails complains once more when it is deleted.
        asyncio.run(_reach(address))
        client = Client(address, timeout=_WAIT)
    except Exception as e:
        raise ClusterError(
            f"no scheduler of Dask answers at {address}: {_said(e)}"
        ) from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=_WAIT)


@contextlib.contextmanager
def cluster(workers: int, scheduler: Optional[str], scratch: str) -> Iterator[Client]:
    """
    Connect to workers.

    :param workers: How many are started here
    :param scheduler: The address of a scheduler that has some; None: start them
    :param scratch: A folder that Dask may use
    :raises ClusterError: if there are none
    """
    _be_quiet()
    made = _local(workers, scratch) if scheduler is None else _remote(scheduler)
    try:
        with dask.config.set(_CONFIG), made as client:
            yield client
    except (OSError, asyncio.TimeoutError) as e:
        # Dask's own: what cannot be written is an OutputError.
        raise ClusterError(
            f"Dask: {_said(e)}; the same command goes on from here"
        ) from None


def has_workers(client: Client) -> bool:
    """Return whether there are workers now. More may come."""
    return bool(client.scheduler_info()["workers"])


def _said(error: BaseException) -> str:
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return text or type(error).__name__


def _show_progress(futures: Sequence[Any]) -> None:
    # On standard error, if that is a terminal; Dask's bar writes to standard output.
    def show() -> None:
        with contextlib.suppress(Exception), contextlib.redirect_stdout(sys.stderr):
            progress(list(futures), notebook=False)

    if sys.stderr is not None and sys.stderr.isatty():
        threading.Thread(target=show, daemon=True).start()


def of_failed(job: Job, error: BaseException) -> Told:
    """
    Return what becomes of a dump that no worker could read.

    :raises OutputError: if the results cannot be written
    :raises ClusterError: if the dump has nothing to do with it
    """
    if isinstance(error, OutputError):
        raise error
    if isinstance(error, KilledWorker):
        told = Told(CRASHED, "each worker of Dask that read it died")
        try:
            write_file(job.folder, job.dump, told)
        except OSError as e:
            raise OutputError(f"{job.folder.path}: {e.strerror}") from None
        return told
    if isinstance(error, ReaderError):
        raise ClusterError(f"a worker cannot read: {error}")
    raise ClusterError(
        f"a worker cannot read: {_said(error)}; each needs drgn-veth[fleet] as it is "
        "here"
    )


def run(
    client: Client,
    jobs: Sequence[Job],
    done: Callable[[Told], None],
) -> None:
    """
    Read dumps.

    :param done: Is told of each
    :raises OutputError: if the results cannot be written
    :raises ClusterError: if the workers cannot be used, or are gone
    """
    # Others may read the same dumps by the same scheduler.
    token = secrets.token_hex(4)
    keys = [f"drgn-veth-{token}-{job.dump.id}" for job in jobs]
    futures = client.map(read, jobs, key=keys, pure=False, retries=_RETRIES)
    job_of = {future.key: job for future, job in zip(futures, jobs)}
    _show_progress(futures)
    seen = time.monotonic() + _SEEN
    held: list[Any] = []
    try:
        for future, result in as_completed(
            futures, with_results=True, raise_errors=False
        ):
            if future.status == "finished":
                done(result)
            elif future.status == "error":
                done(of_failed(job_of[future.key], future.exception()))
            else:
                raise ClusterError(
                    "the scheduler of Dask is gone; the same command goes on from here"
                )
            # Dask would do what it holds again, if the worker dies that did it.
            held.append(future)
            if time.monotonic() > seen:
                for one in held:
                    one.release()
                held.clear()
    except BaseException:
        with contextlib.suppress(Exception):
            client.cancel(futures, force=True)
        raise
