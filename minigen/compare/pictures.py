"""`python -m minigen pictures`: README's pictures and tables, made anew from code and lessons.

Who looks at whom in the four families, the dial and the usual comparison (from their committed
results), a small picture of each lesson and the table of the course. What stands in README.md
between `<!-- NAME -->` and `<!-- end -->` is replaced; a test holds it to what is made here.
"""

import argparse
import base64
import re
from pathlib import Path

import numpy as np

import minigen as mg
from minigen.compare import charts, dial, report, thorough
from minigen.course import notebooks

README = notebooks.ROOT / "README.md"
PICTURES = notebooks.LESSONS / "pictures"
POSITIONS = 16  # of the sequences whose dependencies are drawn


# -- who looks at whom -----------------------------------------------------------------------------


def families(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For each family (L, L): how far the prediction at a position moves with each input.

    Of networks that have learned nothing: it is the mask that decides who may look at whom.
    """
    size = {"layers": 2, "heads": 2, "width": 32}
    tokens = rng.permutation(POSITIONS) % 4
    gpt = mg.GPT(4, POSITIONS, **size, rng=rng)
    masked = mg.MaskedDiffusion(4, POSITIONS, **size, rng=rng)
    block = mg.BlockDiffusion(4, POSITIONS, **size, block_size=4, rng=rng)
    net = mg.networks.PatchTransformer((1, 4, 4), patch=1, **size, rng=rng)

    def denoised(x):
        images = mg.ops.reshape(x, (len(x), 1, 4, 4))
        return net(images, 0.5).reshape(len(x), POSITIONS)

    return {
        "GPT": mg.gradients.dependencies(gpt.logits, tokens),
        "block diffusion, blocks of 4": mg.gradients.dependencies(each_hidden(block), tokens),
        "masked diffusion": mg.gradients.dependencies(each_hidden(masked), tokens),
        "DDPM": mg.gradients.dependencies(denoised, rng.standard_normal(POSITIONS, np.float32)),
    }


def each_hidden(model):
    """The logits of every position when it alone is hidden: (B, L) -> (B, L, V)."""

    def predict(x):
        each = np.eye(x.shape[1], dtype=bool)
        hidden = (np.broadcast_to(row, x.shape) for row in each)
        with mg.no_grad():
            logits = [model.predict(x, where).data[:, i] for i, where in enumerate(hidden)]
        return np.stack(logits, axis=1)

    return predict


def families_picture(matrices: dict[str, np.ndarray]):
    """Dark where a prediction (row) depends on an input (column)."""
    from minigen import plots

    with plots.style():
        figure = plots.Picture((10, 2.9))
        for axes, (name, matrix) in zip(figure.subplots(1, len(matrices)), matrices.items()):
            colour = plots.DIFFUSION if "GPT" not in name else plots.AUTOREGRESSIVE
            ink = plots.matplotlib.colors.LinearSegmentedColormap.from_list("", ["white", colour])
            axes.imshow(matrix > 0, cmap=ink, vmin=0, vmax=1)
            axes.set(title=name, xlabel="input at position", xticks=[0, 15], yticks=[0, 15])
            axes.set_xticks(np.arange(0.5, 15), minor=True)
            axes.set_yticks(np.arange(0.5, 15), minor=True)
            axes.grid(False)
            axes.grid(which="minor", color="white", linewidth=0.7)
            axes.tick_params(which="minor", length=0)
        figure.axes[0].set_ylabel("prediction at position")
    return figure


# -- the course ------------------------------------------------------------------------------------


def lessons() -> list[Path]:
    """The lessons, without their solutions."""
    paths = notebooks.lesson_paths()
    return [path for path in paths if path.parent == notebooks.LESSONS and path.name[:2].isdigit()]


def thumbnail_source(notebook) -> bytes:
    """The picture that a lesson is shown by: of the cell tagged "thumbnail", or its first."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    chosen = [cell for cell in cells if "thumbnail" in cell.metadata.get("tags", [])]
    for cell in (*chosen, *cells):
        for output in cell.outputs:
            png = output.get("data", {}).get("image/png")
            if png:
                return base64.b64decode(png)
    raise ValueError("a lesson without a picture")


def course_table() -> str:
    """The lessons with their pictures, each a link; what they are about stands in their header."""
    lines = ["| | lesson | you will be able to |", "|---|---|---|"]
    for path in lessons():
        notebook = notebooks.read(path)
        aim = re.search(
            r"\*\*You will be able to:?\*\*:?\s*(.+?)(?:\n\n|$)", header(notebook), re.S
        )
        picture = f'<img src="lessons/pictures/{path.stem[:2]}.png" width="120" alt="">'
        link = f"[{notebooks.title(notebook)}](lessons/{path.name})"
        lines.append(f"| {picture} | {link} | {' '.join(aim[1].split())} |")
    return "\n".join(lines)


def header(notebook) -> str:
    return "\n\n".join(c.source for c in notebook.cells[:3] if c.cell_type == "markdown")


# -- README ----------------------------------------------------------------------------------------


def parts() -> dict[str, str]:
    """What stands in README between `<!-- NAME -->` and `<!-- end -->`, by NAME."""
    return {
        "course": course_table(),
        "dial": dial.table(dial.measured()),
        "compare": report.table(thorough.measured()),
        "advice": report.advised(thorough.measured()),
    }


def with_parts(text: str, made: dict[str, str]) -> str:
    """The text with every part put in its place."""
    for name, part in made.items():
        place = rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)"
        if not re.search(place, text, flags=re.S):
            raise ValueError(f"README.md has no place for {name!r}")
        text = re.sub(place, lambda m, part=part: f"{m[1]}{part}\n{m[3]}", text, flags=re.S)
    return text


def main(argv: list[str] | None = None) -> int:
    """Write the pictures and README's parts."""
    argparse.ArgumentParser("python -m minigen pictures", description=__doc__).parse_args(argv)
    from minigen import plots

    drawn = {
        "families": families_picture(families(np.random.default_rng(0))),
        "dial": dial.picture(dial.measured()),
        "compare": charts.training(thorough.measured()),
    }
    for name, figure in drawn.items():
        figure.savefig(PICTURES / f"{name}.png", dpi=110, metadata={"Software": None})
    for path in lessons():
        small = plots.thumbnail(thumbnail_source(notebooks.read(path)), width=240)
        (PICTURES / f"{path.stem[:2]}.png").write_bytes(small)
    README.write_text(with_parts(README.read_text("utf-8"), parts()), "utf-8", newline="\n")
    return 0
