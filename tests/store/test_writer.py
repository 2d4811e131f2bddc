"""The writing thread."""

from __future__ import annotations

import threading

import duckdb
import pytest

from store.writer import Writer, WriterStoppedError


def test_jobs_run_in_order_on_one_thread(connection: duckdb.DuckDBPyConnection) -> None:
    writer = Writer(connection)
    threads: list[int] = []
    futures = [writer.submit(lambda _, n=n: (threads.append(threading.get_ident()), n)[1]) for n in range(20)]
    assert [future.result() for future in futures] == list(range(20))
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    writer.stop()


def test_a_job_that_fails_leaves_the_writer_working(connection: duckdb.DuckDBPyConnection) -> None:
    writer = Writer(connection)
    with pytest.raises(duckdb.CatalogException):
        writer.submit(lambda held: held.execute("SELECT * FROM nothing")).result()
    assert writer.submit(lambda held: held.execute("SELECT 1").fetchall()).result() == [(1,)]
    writer.stop()


def test_stopping_finishes_what_was_submitted_and_takes_no_more(connection: duckdb.DuckDBPyConnection) -> None:
    writer = Writer(connection)
    future = writer.submit(lambda _: "done")
    writer.stop()
    assert future.result() == "done"
    with pytest.raises(WriterStoppedError):
        writer.submit(lambda _: None)
