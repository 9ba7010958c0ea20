"""Tables: metastore, partitioned Parquet, the DataFusion engine, durable metadata.

Importing this package loads no engine: `storage.names` is used by packages that must stay light,
so that everything heavier is entered by its module (`from storage.engine import Engine`).
"""
