"""The laboratory's report: what was measured, as one page to read and to print.

`write` makes it from the record that `python -m minigen compare` leaves: the usual comparison with
measured cells in place of adjectives, every claim with its verdict, samples, pictures, and how it
was done. Nothing on the page is typed by hand that was measured; the page is `report.html`.
"""

import base64
import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigen as mg
from minigen.compare import charts, claims, dial, experiment, verdict
from minigen.compare.arms import ARMS, CHAIN, DIGITS, REFERENCE
from minigen.compare.charts import COLUMNS, SIZE, chain_bits, interval, measured, real
from minigen.compare.claims import c11, c14, figures

PIXELS = 64  # of a digit
ABSENT = "not measured in this run"
UNSEEN = {"effects": [], "controls": []}
LATER = "not measured yet: with the lesson on sequences in time"
PLANNED = {
    "C12": ("Forecasting", "Autoregressive models suit the forecasting of time series."),
    "C13": ("Sound, video", "Diffusion suits high-dimensional sequences: audio, video."),
}
NOT_TRIED = {
    "C1": "Seconds against passes, and the share they explain; a search for the fewest passes: two"
    " numbers of steps were tried for each arm.",
    "C2": "Batches, and trained networks; masked and block diffusion (the dial has their seconds)."
    " Drawing without a cache was timed and is not judged.",
    "C3": "What else has to be chosen, and what a wrong choice of it costs; masked diffusion's"
    " temperature.",
    "C4": "Total variation: the share of valid strings stands in its place. Block diffusion; a"
    " budget of seconds: all arms take the same number of steps.",
    "C5": "Judging block diffusion, and by the sliced Wasserstein distance: both are in the table.",
    "C6": "Judging block diffusion, and by the distance to the nearest training image: as above.",
    "C7": "Coherence beyond 64 letters, and whether a sentence makes sense.",
    "C8": "Diffusion's exact likelihood by its ODE, in a continuous world: lesson 12 has it.",
    "C9": "How far back the text itself remembers; models other than n-grams.",
    "C10": "Other dependencies than between means and variances; noise other than Gaussian.",
    "C11": "Smooth transitions between images; cleaning at more than one noise level, and judging"
    " it; judging how far completions lie apart; a trained classifier: the class is that of the"
    " nearest training image.",
    "C14": "Block diffusion and the U-Net; whether diffusion trains more slowly: see the picture.",
    "C15": "Judging the hybrids on text, and the dial with more training.",
    "C16": "A learning rate tuned for each; dropout and hidden inputs on more than 100 digits.",
    "C17": "Real pictures: digits under noise, and an elevation map.",
    "C18": "Text; other rankings than by 1-NN accuracy.",
    "all": "Larger images, longer texts, more than two minutes of training, labels, any other body"
    " for the autoregressive family. The noise of the one test set stays in every figure.",
}


# -- the comparison --------------------------------------------------------------------------------


class Row(NamedTuple):
    """A row of the comparison: what each arm's cells say, seed by seed."""

    label: str
    claims: str  # that rest on it
    values: Callable  # (cells, arm, size) -> list
    name: str = ""  # of this figure among those of real digits
    sign: Callable = lambda cells, arm, size: ""
    form: str = ".3f"

    def text(self, cells: list[dict], arm: str, size: int) -> str:
        """Mean and 95% interval; "" if nothing was measured."""
        values = self.values(cells, arm, size)
        if not len(values):
            return ""
        middle, half = interval(values)
        spread = f" ± {half:{self.form.lstrip('+')}}" if len(values) > 1 else ""
        return f"{self.sign(cells, arm, size)}{middle:{self.form}}{spread}"


def bits_sign(cells: list[dict], arm: str, size: int) -> str:
    return "= " if figures(cells, "exact", arm=arm, size=size)[0] else "<= "


def passes(cells: list[dict], arm: str, size: int) -> list[int]:
    return [PIXELS if DIGITS[arm].pixels else CHAIN]  # one pixel a pass


def alone(cells: list[dict], arm: str, size: int) -> list[float]:
    """Milliseconds of one sample of as many tokens as a digit has pixels, round by round."""
    way = {"GPT": "autoregression", "DDPM": f"diffusion, {CHAIN} steps"}.get(arm)
    rounds = [one for c in cells if c.get("length") == PIXELS for one in c["seconds"]]
    return [1e3 * one[way] for one in rounds if way in one]


def added(change: str) -> Callable:
    """What a change of the training adds to the 1-NN accuracy."""

    def values(cells, arm, size):
        after = figures(cells, "one_nn_accuracy", arm=arm, change=change)
        before = figures(cells, "one_nn_accuracy", arm=arm, size=size)
        return [a - b for a, b in zip(after, before)]  # of the seeds that both have, the first ones

    return values


METRICS = (
    Row("likelihood: bits a pixel (= exact, <= a bound)", "C18", measured("bits"), sign=bits_sign),
    Row("likelihood: by the chain rule, left to right", "C18", chain_bits, sign=lambda *_: "= "),
    *(
        Row(label, resting, measured(name), name)
        for name, label, resting in (
            ("precision", "quality: precision", "C5"),
            ("one_nn_accuracy", "quality: 1-NN accuracy (0.5: like real)", "C1 C5 C18"),
            ("recall", "diversity: recall", "C6"),
            ("class_entropy", "diversity: entropy of classes, nats", "C6"),
            ("sliced_wasserstein", "sliced Wasserstein distance", ""),
            ("nearest_training_distance", "distance to nearest training image", ""),
        )
    ),
)
PASSES = Row("passes of the network for a sample", "C1 C2", passes, form=".0f")
OTHERS = (
    Row("ms for one sample of 64 tokens, same body, untrained", "C2", alone, form=".1f"),
    *(
        Row(f"robustness: {change} adds to 1-NN accuracy", "C14", added(change), form="+.3f")
        for change in c14.CHANGES
    ),
    Row(
        "its dial at half and at double: the mean adds to 1-NN accuracy",
        "C3",
        lambda cells, arm, size: figures(cells, "added", arm=arm),
        form="+.3f",
    ),
    *(
        Row(
            f"completing, {side} known: class kept",
            "C11",
            lambda cells, arm, size, side=side: [
                one[side] for one in figures(cells, "kept", arm=arm)
            ],
        )
        for side in c11.KNOWN
    ),
    *(
        Row(
            label,
            "C11",
            lambda cells, arm, size, name=name: figures(cells, name, arm=arm),
            form=".1f",
        )
        for name, label in (
            ("psnr", f"cleaning noise of {c11.NOISE}: PSNR, dB"),
            ("linear_psnr", "the same by the best matrix"),
        )
    ),
)


def compared(record: dict, size: int, rows: tuple) -> list[dict]:
    """Rows with a text for every arm and for real digits, and the verdicts that rest on them."""
    cells, found = list(record["cells"].values()), []
    words = {one["claim"]: one["verdict"] for one in record["claims"]}
    for row in rows:
        texts = [row.text(cells, arm, size) for arm in DIGITS]
        texts.append(f"{real()[row.name]:.3f}" if row.name else "")
        resting = {claim: words.get(claim, ABSENT) for claim in row.claims.split()}
        found.append({"label": row.label, "texts": texts, "claims": resting})
    return found


def table(record: dict) -> str:
    """The comparison in Markdown, for README."""
    lines = [
        [f"{SIZE} seconds' worth", *COLUMNS.values(), "real", "claims"],
        ["---"] * (len(COLUMNS) + 3),
    ]
    for row in compared(record, SIZE, (*METRICS, PASSES)):
        links = [
            f"[{claim}](minigen/compare/claims/c{claim[1:]:0>2}.py): {word}"
            for claim, word in row["claims"].items()
        ]
        lines.append([row["label"], *(text or "–" for text in row["texts"]), ", ".join(links)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- claims ----------------------------------------------------------------------------------------


def cards(record: dict) -> list[dict]:
    """All claims in order: what was judged, what was not, what is planned."""
    found = {
        name: {"claim": name, "title": title, "statement": statement, "verdict": LATER}
        for name, (title, statement) in PLANNED.items()
    }
    for claim in claims.all_claims():
        found[claim.id] = {**vars(claim), "claim": claim.id, "verdict": ABSENT, **UNSEEN}
    for one in record["claims"]:
        found[one["claim"]] = {**one, **{name: scaled(one[name]) for name in UNSEEN}}
    return sorted(found.values(), key=lambda one: int(one["claim"][1:]))


def scaled(effects: list[list]) -> list[list]:
    """Effects, each with the span of its plot, which those of one delta share.

    What should be exact (delta 0: what is left of a tolerance) has a span of its own: there the
    side of the zero line is all that counts.
    """
    found = []
    for effect in effects:
        delta = effect[-1]
        alike = [e for e in effects if e[-1] == delta] if delta else [effect]
        span = max(abs(x) for e in alike for x in (*e[1:4], delta))
        found.append([*effect, span or 1.0])
    return found


EITHER, OPEN = "either", "not decided"


class Task(NamedTuple):
    """What a reader wants, and what to take where the claim holds, or its contrary."""

    wanted: str
    claim: str
    holds: str
    contrary: str
    small: str = EITHER
    about: str = ""  # only effects that begin so: a regular expression


WORDS = (verdict.HOLDS, verdict.CONTRARY, verdict.SMALL, verdict.UNDECIDED)
AR, DIFFUSION, GPT = "autoregression", "diffusion", "a GPT"
UNET, DDPM, MASKED = "a DDPM with a U-Net", "a DDPM of the same body", "masked diffusion"
TASKS = (
    *(
        Task(f"{wanted} ({model} or {GPT})", claim, model, GPT, about=about)
        for wanted, claim in (("images of high quality", "C5"), ("diverse images", "C6"))
        for model, about in ((UNET, "U-Net"), (DDPM, "DDPM"), (MASKED, "masked"))
    ),
    Task("text", "C7", AR, "masked or block diffusion"),
    Task("a likelihood that is known exactly", "C8", AR, "either"),
    Task("one sample soon", "C2", AR, DIFFUSION),
    Task("diffusion in a hurry", "C1", "all of the steps", "fewer steps", "fewer steps"),
    Task("continuing what begins", "C11", AR, DIFFUSION, about="top"),
    Task("filling in what is missing elsewhere", "C11", DIFFUSION, AR, about="(?!top)"),
    *(
        Task(f"rules of the whole ({model} or {GPT})", "C4", model, GPT, about=about)
        for model, about in ((MASKED, ".*masked minus"), (DDPM, ".*DDPM minus"))
    ),
    *(
        Task(f"{few}, repeated ({MASKED} or {GPT})", "C16", MASKED, GPT, about=few)
        for few in ("300 digits", "100 digits", "50,000 letters")
    ),
    Task("training that forgives", "C14", DIFFUSION, AR),
    Task("a sampler with little to set wrong", "C3", AR, DIFFUSION),
    Task("quality and speed at once", "C15", "blocks of this size", "blocks of one: a GPT"),
)


def advice(record: dict) -> list[dict]:
    """For every task what its claim's effects say, by rule: what to take in which settings."""
    known, found = {one["claim"]: one for one in record["claims"]}, []
    for task in TASKS:
        if task.claim in known:
            one, where = known[task.claim], {}
            effects = [e for e in one["effects"] if re.match(task.about, e[0])]
            for word, choice in zip(WORDS, (task.holds, task.contrary, task.small, OPEN)):
                settings = [e[0] for e in effects if e[4] == word]
                if settings:
                    where.setdefault(choice, []).extend(settings)
            found.append({"task": task, "where": where, "scope": one["scope"]})
    return found


def advised(record: dict) -> str:
    """The same in Markdown, without the settings, for README."""
    lines = []
    for one in advice(record):
        task, total = one["task"], sum(map(len, one["where"].values()))
        most_first = sorted(one["where"].items(), key=lambda item: -len(item[1]))
        said = ", ".join(f"{choice} {len(settings)}" for choice, settings in most_first)
        link = f"[{task.claim}](minigen/compare/claims/c{task.claim[1:]:0>2}.py)"
        settings = f"{total} setting{'s' if total > 1 else ''}"
        scope = "" if lines and link in lines[-1] else one["scope"]  # once for each claim
        lines.append(f"| {task.wanted} | {said} | {settings} | {link} | {scope} |")
    return "\n".join(["| for | take | of | claim | measured on |", "|---|---|---|---|---|", *lines])


# -- the page --------------------------------------------------------------------------------------


def write(record: dict, folder: Path) -> Path:
    """Write the pictures and the page that holds them; its path."""
    import jinja2  # comes with Jupyter

    drawn = {name: getattr(charts, name)(record) for name in ("training", "data", "samples")}
    pictures = {}
    for name, figure in {**drawn, "dial": dial.picture(dial.measured())}.items():
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
        pictures[name] = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
    here, rng = resources.files("minigen.compare"), np.random.default_rng(0)
    tuning = json.loads(here.joinpath("results", "tuning.json").read_text("utf-8"))
    page = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(
        here.joinpath("report.html").read_text("utf-8")
    )
    text = page.render(
        record=record,
        columns=[*COLUMNS.values(), "real digits"],
        size=SIZE,
        main=compared(record, SIZE, (*METRICS, PASSES)),
        others=compared(record, SIZE, OTHERS),
        smaller={s: compared(record, s, METRICS) for s in experiment.SIZES if s != SIZE},
        cards=cards(record),
        advice=advice(record),
        pictures=pictures,
        arms=ARMS.values(),
        parameters={
            name: sum(p.size for p in mg.nn.parameters(arm.build(rng)).values())
            for name, arm in ARMS.items()
        },
        trials=tuning["trials"],
        unnamed=(EITHER, OPEN),
        not_tried=NOT_TRIED,
        reference=REFERENCE,
        experiment=experiment,
    )
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path
