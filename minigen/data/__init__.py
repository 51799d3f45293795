"""Real data for both families, loaded without a network: what each set is, and its traps, stands in DATASHEET.md."""

from minigen.data.batching import batches, crops
from minigen.data.digits import Digits, digits, to_levels, to_signed
from minigen.data.text import Colors, Text, colors, drop_repeats, python_manual, text_file

__all__ = [
    "Colors",
    "Digits",
    "Text",
    "batches",
    "colors",
    "crops",
    "digits",
    "drop_repeats",
    "python_manual",
    "text_file",
    "to_levels",
    "to_signed",
]
