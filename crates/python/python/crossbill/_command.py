"""The ``crossbill`` command of the package: the binary's own code, in this process."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Runs the command line and gives the code to end with."""
    # As in the binary: Ctrl-C ends the process at once, unless the command minds it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from crossbill import _native

    return _native.run([os.fsencode(word) for word in ["crossbill", *sys.argv[1:]]])
