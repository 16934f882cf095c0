"""What a Ray worker does of a task: it finds the function by its name and calls it. Imports no Ray.

A worker that is killed raises nothing here; Ray starts the task again, as a trial. What the task raises comes back as a
value: an error of its own would come again, and exceptions do not travel whole.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tune_at.data.arrays import Source
from tune_at.data.sources import provide
from tune_at.errors import UserError
from tune_at.store.failures import StorageFailed


@dataclass(frozen=True)
class Outcome:
    """How a task has ended.

    Attributes:
        error: its cause in one line; empty if all went well.
        storage: `StorageFailed.parts`, where the storage has failed and no other task could write there either.
        trace: the traceback, of an error that is not the user's.
    """

    error: str = ""
    storage: list[str] = field(default_factory=list)
    trace: str = ""


def work(function: str, arguments: Mapping[str, Any], shipped: Mapping[str, Source]) -> Outcome:
    """Call `function`, a `module:attribute`, with the arguments; `shipped` are data sets from Ray's object store."""
    try:
        provide(shipped)
        module, _, attribute = function.partition(":")
        getattr(import_module(module), attribute)(**arguments)
    except StorageFailed as error:
        return Outcome(str(error), storage=error.parts)
    except UserError as error:
        return Outcome(str(error))
    except Exception as error:
        line = next(iter(str(error).splitlines()), "")
        return Outcome(f"{type(error).__name__}: {line}", trace=traceback.format_exc())
    return Outcome()
