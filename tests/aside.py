"""What a run of thousands of tests would look at again and again, in vain.

Modules and tests, a million objects, are never garbage: the collector does not look at them while they are made, nor
afterwards. PyTorch keeps fifty loggers apart from the root; pytest would hang its handlers on each of them and take
them off again at each step of each test, and with a handler on its tracer PyTorch writes down all that it translates.
"""

from __future__ import annotations

import gc
import logging
import sys

__all__ = ["set_aside", "set_aside_what_is_new"]

_MANY = 100  # modules: so many that a test loads, as the exporter's, are a lot of objects again
_frozen: set[int] = {0}  # how many modules there were, each time that they were set aside


def set_aside() -> None:
    """All that is loaded by now."""
    gc.freeze()
    _frozen.add(len(sys.modules))
    for name, logger in logging.Logger.manager.loggerDict.items():
        if name.startswith("torch") and isinstance(logger, logging.Logger):
            logger.propagate = True  # to the root, where pytest and `caplog` hear it


def set_aside_what_is_new() -> None:
    """What tests load later as well: else collections, of which a training makes some, are a third of a training
    test's time."""
    if len(sys.modules) > max(_frozen) + _MANY:
        gc.collect()
        set_aside()
