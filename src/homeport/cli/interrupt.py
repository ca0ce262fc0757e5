"""What Ctrl-C and SIGTERM do: stop at the next read or write, leave nothing half-written."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from homeport.progress import CancelToken


def stop_on_signals(cancel: CancelToken) -> None:
    """From now on the first SIGINT or SIGTERM cancels the work, a second one ends at once.

    Ending at once is safe too: files are written beside and renamed.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # the caller runs commands in a thread of its own

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.cancelled:
            os._exit(130)
        cancel.cancel()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
