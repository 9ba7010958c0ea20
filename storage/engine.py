"""The seam between servers and what executes their statements.

Servers know an engine by these protocols and by nothing else: one statement, the tables that it may
read at their snapshots, and which part of their files; back come batches of Arrow. They know no
session, no plan and no thread of it. An engine that spreads one statement over many machines can
stand here in place of `storage.datafusionengine`, which runs each on one; whatever stands here
raises this package's errors alone (`storage.errors`).

Changing rows of managed tables asks for more: see `storage.rowchanges.ChangingEngine`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from storage.explanation import Explanation
from storage.metastore import Table
from storage.sharding import Shard


class Execution(Protocol):
    """A statement that is running. One thread iterates; any thread may close."""

    arrow_schema: pa.Schema
    """The schema of its batches."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches that have rows, in the engine's order; called once.

        Raises:
            CancelledError: When it was stopped before the last batch, so that a part of a result
                never passes for all of it.
            StorageError: When the statement fails at run time.
        """

    def parts(self) -> tuple[int, int] | None:
        """Return how many parts of its work are done, of how many; None where nobody can tell."""

    def close(self) -> None:
        """Stop the work and give back all that it holds, from any thread; may be called again."""


class Explaining(Protocol):
    """A statement that is being explained. One thread explains; any thread may close."""

    def explain(self) -> Explanation:
        """Return the explanation; a statement to be measured is run to its end, unseen.

        Raises:
            CancelledError: When it was stopped.
            StorageError: When the statement fails.
        """

    def close(self) -> None:
        """Stop, and give back what is held; fine from any thread, and more than once."""


class Engine(Protocol):
    """What executes statements over exactly the tables that it is given. Used from many threads.

    Of managed tables the version that `Table.snapshot` names is read; the files of all others must
    be those of it. A view is what the engine was told that it is made of, when it was made.
    """

    def execute(
        self,
        tables: Sequence[Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        batch_rows: int = 32_768,
        shard: Shard | None = None,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Execution:
        """Start a statement.

        Args:
            tables: The only tables it may read, with their locations.
            text: One query, in which tables are named without their cluster.
            catalog: Where names of fewer than three parts are looked for.
            schema: Where names of one part are looked for.
            parameters: The values of its `$1`, `$2`, … or `$name`.
            batch_rows: About how many rows the batches should have; a power of two near it.
            shard: Which part of the files of each table is read; None for all. That the rows of
                all parts together are the statement's, whoever asks for parts has made sure of.
            is_cancelled: Asked between batches, and at least every 50 ms while waiting for one.

        Raises:
            StatementRefusedError: When the text is anything but a query.
            StaleMetastoreError: When the files of a table are not those of its snapshot.
            StorageError: One of the others, for what the engine found out while planning.
        """

    def explain(
        self,
        tables: Sequence[Table],
        text: str,
        *,
        catalog: str | None,
        schema: str | None,
        parameters: Mapping[str, pa.Scalar] | None = None,
        batch_rows: int = 32_768,
        is_measured: bool = False,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Explaining:
        """Plan a statement to be explained: told how it would run, or run and measured.

        Args:
            tables: The only tables it may read, with their locations.
            text: One query, in which tables are named without their cluster.
            catalog: Where names of fewer than three parts are looked for.
            schema: Where names of one part are looked for.
            parameters: The values of its `$1`, `$2`, … or `$name`.
            batch_rows: As for `execute`, which makes the same plan.
            is_measured: Run it as `execute` does, throw its rows away and tell what it took.
            is_cancelled: Asked between files and batches.

        Raises:
            StorageError: As `execute` does.
        """

    def close(self) -> None:
        """Forget what is kept of tables, and of the files that were read."""
