"""The program of the image ``ryuk``: listens at once, then loads what serves the clients.

Testcontainers' Python client connects when the container was started, and does not notice that
nothing listened yet: what it says is lost, and nothing is ever removed. So the first thing of all
is the listener, with modules that are built into the interpreter; clients wait in its queue.
"""

from __future__ import annotations

import _socket
import posix
import sys

_DEFAULT = b"8080"
_QUEUE = 128


def main() -> int:
    """Exit code 1 if something could not be removed, or it could not start."""
    listener = listen(posix.environ.get(b"RYUK_PORT") or _DEFAULT)
    # 60 ms in which a client may connect already
    from homeport.reaper.serving import serve_until_done

    return serve_until_done(listener)


def listen(port: bytes) -> int:
    """The listener's descriptor, or -1: whether the port is a number is told later."""
    for family in (_socket.AF_INET6, _socket.AF_INET):
        listener = None
        try:
            listener = _socket.socket(family, _socket.SOCK_STREAM)
            listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if family == _socket.AF_INET6:  # for both
                listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
            listener.bind(("", int(port)))
            listener.listen(_QUEUE)
        except OSError as error:
            if listener is not None:
                listener.close()
            reason = error.strerror
        except (ValueError, OverflowError):
            return -1
        else:
            return listener.detach()
    print(f"cannot listen on port {port.decode()}: {reason}", file=sys.stderr)
    return -1
