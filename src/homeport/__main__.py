"""The program ``homeport``, also as ``python -m homeport``: starts before other modules are loaded.

Not the command line itself: that is ``homeport.cli.main``.
"""

import gc
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it.

    Ctrl-C while it is loaded ends the process as it ends any program that has nothing to
    finish yet; afterwards the command line handles it.
    """
    # 2 ms of --version, 15 ms of an audit (benchmarks/start.py): cycles are rare here.
    gc.set_threshold(50_000)
    as_python_does = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if as_python_does:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Imported here, so that Ctrl-C can end the 40 ms in which it loads.
    from homeport.cli.main import main as command_line

    if as_python_does:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line()


if __name__ == "__main__":
    main()
