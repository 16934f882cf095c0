"""The sweep's folder: Parquet tables, checkpoints and the recorded study.

`read_table("runs/demo", "epochs")` → pandas. Importing this needs neither torch nor Ray.
"""

from tune_at.store.reader import query, read_arrow, read_table

__all__ = ["query", "read_arrow", "read_table"]
