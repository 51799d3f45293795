"""The laboratory's report: of a made-up record, whole or with holes."""

import base64
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from minigen.compare import charts, claims, experiment, report, thorough, verdict
from minigen.compare.arms import DIGITS
from minigen.compare.claims import c01, c02, c11, c16

FIGURES = (*experiment.KEPT, "class_entropy")


def made_up(cell, rng) -> dict:
    """What the cell might have given: the right names, figures of no meaning."""
    function, told = cell.function.split(":")[1], dict(cell.settings)

    def near(middle=0.5):
        return middle + 0.02 * rng.standard_normal()

    def metrics():
        return {name: near() for name in FIGURES}

    if function == "digits":
        exact = told["arm"] == "GPT"
        told |= {"bits": near(2), "exact": exact, **metrics()}
        if DIGITS[told["arm"]].pixels and not exact:
            told["chain_bits"] = near(2)
        if told["seed"] == 0:
            told["samples"] = experiment.written(rng.integers(0, 17, (experiment.SHOWN, 8, 8)))
    elif function == "walks":
        told["ways"] = {way: metrics() for way in c01.WAYS[told["arm"]]}
    elif function == "speed":
        ways = ["autoregression", *(f"diffusion, {n} steps" for n in c02.STEPS)]
        told = {
            "length": told["side"] ** 2,
            "seconds": [{way: 0.05 * (1 + near()) for way in ways} for _ in range(c02.ROUNDS)],
        }
    elif function == "fill":
        told |= {name: {side: near() for side in c11.KNOWN} for name in ("kept", "apart")}
    elif function in ("few", "few_letters"):
        what = f"{told['images']} digits" if function == "few" else "50,000 letters"
        looks = [near(2) for _ in c16.SHARES]
        told |= {"data": what, "best": near(2), "end": near(2), "looks": looks}
    elif function == "memory":
        told["moved"] = [near(0.9)] * told["order"] + [0.0] * (7 - told["order"])
    else:
        others = {
            "dials": {"added": near(0), "told": [near(0.7) for _ in range(3)]},
            "captured": {"valid": near()},
            "letters": {"exact_bits": near(2), "words_known": near()},
            "likelihoods": {"gpt_mass_off": 1e-7, "masked_mass_off": 1e-7, "bound_gap": near()},
            "chain": {"variance_off": 2.0, "memory": 3.0}, "changed": metrics(),
            "tempered": {how: {"30": near(2), "120": near(2)} for how in ("as_trained", "fitted")},
            "drowned": {"slope": near(3)}, "settled": {"at": [near(), 0.4, 0.3, 0.2]},
        }  # fmt: skip
        told |= others[function]
    return told


@pytest.fixture(scope="module")
def record() -> dict:
    rng, known = np.random.default_rng(0), claims.all_claims()
    cells = {cell.name: cell for claim in known for cell in claim.cells}
    results = {name: made_up(cell, rng) for name, cell in cells.items()}
    judged = [thorough.judged(claim, results) for claim in known]
    machine = {"machine": "a machine", "steps": "steps", "python": "3", "numpy": "2"}
    return {"claims": judged, "cells": results, **machine}


class Page(HTMLParser):
    """Which elements are open, every address, the words, and those of each part with an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.addresses, self.tags, self.ids = [], [], set(), {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.addresses += [(tag, attrs[name]) for name in ("src", "href") if name in attrs]
        if tag not in ("meta", "img"):  # which need no end
            self.open.append((tag, attrs.get("id")))
        if "id" in attrs:
            self.ids[attrs["id"]] = ""

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag, f"{tag} is closed where another is open"

    def handle_data(self, data):
        for _, name in self.open:
            if name:
                self.ids[name] += data


def read(path) -> tuple[Page, str]:
    text = path.read_text("utf-8")
    found = Page(text)
    assert not found.open, "closed, every one"
    return found, text


@pytest.fixture(scope="module")
def whole(record, tmp_path_factory):
    """The page of a whole record."""
    return report.write(record, tmp_path_factory.mktemp("report"))


def test_the_page_says_every_claim_with_its_verdict_and_its_evidence(record, whole):
    found, text = read(whole)
    for one in record["claims"]:
        said = " ".join(found.ids[one["claim"]].split())
        for part in ("statement", "refuted", "expected", "scope", "verdict"):
            assert one[part] in said, (one["claim"], part)
        assert one["surprise"] in said
        for about, *_, word, _ in one["effects"]:
            assert about in said and word in said
        assert all(control[0] in said for control in one["controls"])  # no part of the verdict
    for name in report.PLANNED:
        assert report.LATER in " ".join(found.ids[name].split())
    assert list(found.ids) == [f"C{k}" for k in range(1, 19)]
    assert report.ABSENT not in text


def test_the_page_needs_no_network_and_runs_nothing(whole):
    found, text = read(whole)
    assert not found.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"url\(|@import", text)
    for tag, address in found.addresses:
        if address.startswith("#"):
            assert address[1:] in found.ids
        else:
            start = "data:image/png;base64," if tag == "img" else "https://doi.org/"
            assert address.startswith(start), address[:60]
    pictures = [address for tag, address in found.addresses if tag == "img"]
    for name, address in zip(("samples", "training", "data", "dial"), pictures, strict=True):
        assert (
            base64.b64decode(address.split(",")[1]) == whole.with_name(f"{name}.png").read_bytes()
        )


def test_what_a_run_has_not_measured_is_said_to_be_absent(record, tmp_path):
    """Some claims and their cells; none at all."""
    some = [one for one in record["claims"] if one["claim"] in ("C1", "C9")]
    kept = [cell.name for c in claims.all_claims() if c.id in ("C1", "C9") for cell in c.cells]
    cells = {name: record["cells"][name] for name in kept}
    found, _ = read(report.write({**record, "claims": some, "cells": cells}, tmp_path))
    assert report.ABSENT in " ".join(found.ids["C5"].split())
    assert report.ABSENT not in " ".join(found.ids["C1"].split())
    _, text = read(report.write({**record, "claims": [], "cells": {}}, tmp_path))
    assert text.count(f">{report.ABSENT}<") == 2 * len(claims.all_claims())  # at a glance, a card


def test_the_table_marks_what_is_exact_and_what_is_a_bound(record):
    rows = [line.strip("| ").split(" | ") for line in report.table(record).splitlines()]
    own, chain = rows[2][1:6], rows[3][1:6]
    assert [text.split()[0] for text in own] == ["=", "<=", "<=", "<=", "<="]
    assert [text.split()[0] for text in chain] == ["=", "=", "=", "–", "–"] and chain[0] == own[0]
    assert not any("=" in text for row in rows[4:] for text in row)


def test_a_cell_is_the_mean_over_seeds_with_its_t_interval(record):
    values = [
        record["cells"][f"digits_U-Net_seed{seed}_10s"]["recall"] for seed in experiment.SEEDS
    ]
    half = verdict.student(4) * np.std(values, ddof=1) / np.sqrt(5)
    (row,) = [r for r in report.compared(record, 10, report.METRICS) if "recall" in r["label"]]
    assert row["texts"][4] == f"{np.mean(values):.3f} ± {half:.3f}"
    assert row["texts"][5] == f"{charts.real()['recall']:.3f}"
    word = {one["claim"]: one["verdict"] for one in record["claims"]}["C6"]
    assert row["claims"] == {"C6": word}


def test_a_change_is_compared_with_the_same_seeds(record):
    """Three seeds were trained with a change, five without."""
    cells = record["cells"]
    gaps = [
        cells[f"changed_DDPM400images_seed{seed}"]["one_nn_accuracy"]
        - cells[f"digits_DDPM_seed{seed}_30s"]["one_nn_accuracy"]
        for seed in experiment.FEWER
    ]
    assert report.added("400 images")(list(cells.values()), "DDPM", 30) == pytest.approx(gaps)


def test_effects_of_one_delta_share_a_scale_and_exact_ones_have_their_own():
    effects = [
        ["a", 1.0, 0.5, 2.0, "holds", 0.25], ["b", 0.0, -4.0, 1.0, "not decided", 0.25],
        ["c", -9.0, -9.0, -9.0, "the contrary", 0.0], ["d", 1e-6, 1e-6, 1e-6, "holds", 0.0],
    ]  # fmt: skip
    assert [one[-1] for one in report.scaled(effects)] == [4.0, 4.0, 9.0, 1e-6]


def test_advice_follows_the_verdicts_of_single_effects():
    words = {"top, x": "holds", "top, y": "too small to matter", "left": "the contrary"}
    effects = [[about, 0.0, 0.0, 0.0, word, 0.1] for about, word in words.items()]
    one = {"claim": "C11", "verdict": "depends", "scope": "here", "effects": effects}
    beginning, elsewhere = report.advice({"claims": [one]})
    assert beginning["where"] == {"autoregression": ["top, x"], "either": ["top, y"]}
    assert elsewhere["where"] == {"autoregression": ["left"]}
    rows = report.advised({"claims": [one]}).splitlines()[2:]
    assert "| autoregression 1, either 1 | 2 settings |" in rows[0]
    assert "| autoregression 1 | 1 setting |" in rows[1] and "claims/c11.py" in rows[1]
    assert rows[0].endswith("| here |") and rows[1].endswith("|  |")  # a claim's scope stands once
    assert {task.claim for task in report.TASKS} <= {claim.id for claim in claims.all_claims()}


def test_advice_names_the_model_and_uses_every_effect_once():
    record = thorough.measured()
    advised = report.advice(record)
    unet, body, masked = (one["where"] for one in advised if one["task"].claim == "C5")
    assert "a DDPM with a U-Net" in unet and "masked diffusion" not in unet
    assert set(masked) <= {"a GPT", "masked diffusion", "either", "not decided"}
    assert "a DDPM of the same body" in body
    for claim in record["claims"]:
        mine = [one["where"].values() for one in advised if one["task"].claim == claim["claim"]]
        used = [setting for where in mine for settings in where for setting in settings]
        assert not mine or sorted(used) == sorted(effect[0] for effect in claim["effects"])


def test_the_command_prints_and_says_where_the_page_is(record, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "write", lambda record, folder: folder / "report.html")
    assert thorough.shown(record, tmp_path) == 0
    said = capsys.readouterr().out
    assert f"To read and to print: {tmp_path / 'report.html'}" in said
    assert all(one["statement"] in said for one in record["claims"])


def test_without_jinja_the_claims_are_printed_all_the_same(record, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert thorough.shown(record, tmp_path) == 0
    said = capsys.readouterr().out
    assert record["claims"][-1]["statement"] in said and "pip install jinja2" in said
    assert not list(tmp_path.iterdir())
