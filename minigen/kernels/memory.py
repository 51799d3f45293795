"""Keeping freed memory, so that fresh arrays cost no page faults."""

import ctypes
import os
import sys


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory in the process; True if it agreed.

    Every op makes a fresh array. glibc hands arrays above 128 kB back to the system when they are
    freed, and the next step pays for each page again: 8,000 to 18,000 page faults a training step,
    about a third of its time. With these two settings the memory stays with the process and is used
    again. They change the whole process, so they can be switched off with the environment variable
    MINIGEN_KEEP_MEMORY=0, and systems without glibc's `mallopt` do without.
    """
    if os.environ.get("MINIGEN_KEEP_MEMORY") == "0" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    mmap_threshold, trim_threshold = -3, -1
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, 2**31 - 1))
