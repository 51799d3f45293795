"""What the notebooks use.

Check and hint for exercises, predict and reveal around decisive cells, read for sources.
"""

from minigen.course.checks import check, hint
from minigen.course.predictions import predict, reveal
from minigen.course.reading import read

__all__ = ["check", "hint", "predict", "read", "reveal"]
