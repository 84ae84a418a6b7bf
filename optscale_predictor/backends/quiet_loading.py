"""Models load without transformers' warnings, which are checked for here, and without a bar for what takes a second."""

from collections.abc import Iterator
from contextlib import contextmanager

from optscale_predictor._support.messages import theirs_shown


@contextmanager
def quiet_loading() -> Iterator[None]:
    """What a library says while the block loads is not shown; with ``-v`` it is."""
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars  # type: ignore[attr-defined]
    from transformers.utils import logging

    before, downloads = logging.get_verbosity(), not are_progress_bars_disabled()
    bars = downloads and logging.is_progress_bar_enabled()  # who switched downloads' off gets a warning for the other
    if not theirs_shown():
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        if downloads:
            enable_progress_bars()  # switched off with them; downloads take minutes
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
