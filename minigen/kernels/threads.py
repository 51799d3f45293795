"""How many threads a matrix product may use, where nobody has said so."""

import ctypes
import os
import sys
from pathlib import Path

import numpy as np

THREADS = 1
SAID_BY = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")  # what OpenBLAS reads
SETTER = "scipy_openblas_set_num_threads64_"  # its name in NumPy's wheels


def limit_threads() -> bool:
    """Tell the OpenBLAS inside NumPy's wheel to use THREADS threads; True if it was told.

    By itself it takes one for every core. They wait for each other in a busy loop, so where another
    program wants one of two cores, a product in two threads is slower than in one. The price is
    what more threads gain on an idle machine, in large products only. The whole process is told. A
    number in OPENBLAS_NUM_THREADS goes first: 2 gives two. MINIGEN_LIMIT_THREADS=0 leaves all as it
    is. A NumPy with another library (conda's, Apple's) does without.
    """
    if os.environ.get("MINIGEN_LIMIT_THREADS") == "0" or any(map(os.environ.get, SAID_BY)):
        return False
    package = Path(np.__file__).parent
    where = "numpy/.dylibs" if sys.platform == "darwin" else "numpy.libs"
    for file in package.parent.glob(f"{where}/*openblas*"):
        library = ctypes.CDLL(str(file))  # loaded already: this gives the same one
        if setter := getattr(library, SETTER, None):
            setter(THREADS)
            return True
    return False
