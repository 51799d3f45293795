"""Checkpoints: what was saved comes back bit for bit, or the one documented error says why not."""

import contextlib
import copy
import hashlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import minigen as mg
from minigen import checkpoints, networks, nn, schedules
from minigen.checkpoints import CheckpointError
from minigen.course import checkpoints as shipped

ROOT = Path(__file__).parents[1]


def rng(seed=0):
    return np.random.default_rng(seed)


def digits_ddpm(seed=0, predict="velocity"):
    net = networks.UNet((1, 8, 8), channels=(8, 16), heads=2, classes=10, rng=rng(seed))
    return mg.DDPM(net, schedules.cosine(offset=0.01), steps=50, predict=predict, levels=17)


def same(one, two):
    """Bit for bit: the same names, dtypes, shapes and bytes."""
    one, two = nn.state(one), nn.state(two)
    assert one.keys() == two.keys()
    return all(
        one[n].dtype == two[n].dtype
        and one[n].shape == two[n].shape
        and one[n].tobytes() == two[n].tobytes()
        for n in one
    )


def reseal(content):
    return content[:-64] + hashlib.sha256(content[:-64]).hexdigest().encode()


# -- there and back ------------------------------------------------------------------------------

EXAMPLES = {
    "MarkovChain": lambda: mg.MarkovChain(rng().dirichlet(np.ones(4), 4)),
    "MarkovChain with a start": lambda: mg.MarkovChain(
        rng().dirichlet(np.ones(4), 4), np.array([1.0, 0, 0, 0])
    ),
    "NGram": lambda: mg.NGram(3, 5).fit(rng().integers(0, 5, 200)),
    "NGram additive": lambda: mg.NGram(0, 5, "additive", pseudocount=0.5).fit(
        rng().integers(0, 5, 200)
    ),
    "NGram before fit": lambda: mg.NGram(3, 5),
    "LinearAR": lambda: mg.LinearAR(3).fit(rng().standard_normal(100)),
    "LinearAR before fit": lambda: mg.LinearAR(3),
    "MADE": lambda: mg.MADE(6, 3, hidden=(8, 9), order=(5, 3, 1, 0, 2, 4), penalty=0.1, rng=rng()),
    "GPT": lambda: mg.GPT(7, 12, layers=2, heads=2, width=8, rng=rng()),
    "MaskedDiffusion": lambda: mg.MaskedDiffusion(7, 12, 1, 2, 8, weighting="bound", rng=rng()),
    "BlockDiffusion": lambda: mg.BlockDiffusion(7, 12, 1, 2, 8, block_size=3, rng=rng()),
    "DDPM": digits_ddpm,
    "DDPM of points": lambda: mg.DDPM(
        networks.MLP((2,), 16, 2, 8, rng=rng()), schedules.variance_exploding(0.02)
    ),
    "ScoreSDE": lambda: mg.ScoreSDE(
        networks.MLP((2,), 16, 2, 8, rng=rng()), schedules.variance_exploding(0.02)
    ),
    "MLP": lambda: networks.MLP((3,), classes=4, rng=rng()),
    "UNet": lambda: networks.UNet((1, 4, 4), channels=(8, 8, 16), rng=rng()),
    "PatchTransformer": lambda: networks.PatchTransformer(
        shape=(2, 4, 4), layers=1, heads=1, width=4, classes=3, rng=rng()
    ),
    "TokenTransformer": lambda: networks.TokenTransformer(
        5, 12, 1, 1, 4, extra_tokens=2, rng=rng()
    ),
    "linear": lambda: mg.DDPM(
        networks.MLP((2,), 4, 1, 4, rng=rng()), schedules.linear(1e-4, 0.03, 900)
    ),
    "variance_preserving": lambda: mg.DDPM(
        networks.MLP((2,), 4, 1, 4, rng=rng()), schedules.variance_preserving(0.2, 19)
    ),
    "flow": lambda: mg.DDPM(
        networks.MLP((2,), 4, 1, 4, rng=rng()), schedules.flow(), predict="clean"
    ),
}


def arguments(model):
    return json.loads(json.dumps(checkpoints._describe(model, "model")))


def test_a_chain_of_windows_comes_back_as_one(tmp_path):
    symbols = rng().integers(0, 2, (1, 99))
    mg.save(tmp_path / "a.npz", mg.MarkovChain.fit(symbols, 2, order=2))
    with pytest.raises(ValueError, match="windows of 2 symbols"):
        mg.load(tmp_path / "a.npz").log_prob(symbols)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_model_comes_back_bit_for_bit_with_its_constructor_arguments(name, tmp_path):
    model = EXAMPLES[name]()
    mg.save(tmp_path / "a.npz", model)
    back = mg.load(tmp_path / "a.npz")
    assert type(back) is type(model) and same(back, model) and arguments(back) == arguments(model)
    mg.save(tmp_path / "b.npz", back)
    assert (tmp_path / "a.npz").read_bytes() == (
        tmp_path / "b.npz"
    ).read_bytes()  # the same content, the same bytes
    for array in nn.state(back).values():
        array.copy()
    if hasattr(back, "log_prob") and "before" not in name and name not in ("LinearAR", "ScoreSDE"):
        x = rng(1).integers(0, 3, (4, 6))
        assert np.array_equal(back.log_prob(x), model.log_prob(x))


def test_there_is_an_example_of_every_class_that_a_checkpoint_may_build():
    built = set()

    def collect(description):
        if isinstance(description, dict) and "class" in description:
            built.add(description["class"])
            for value in description["arguments"].values():
                collect(value)

    for make in EXAMPLES.values():
        collect(arguments(make()))
    assert built == set(checkpoints.CLASSES) - {"SGD", "Adam", "AdamW", "EMA"}
    models = {
        name
        for name, thing in vars(mg).items()
        if isinstance(thing, type) and hasattr(thing, "sample")
    }
    assert "GPT" in models
    assert models <= set(checkpoints.CLASSES)


def test_a_loaded_model_samples_scores_and_trains_like_the_saved_one(tmp_path):
    for make, how in ((digits_ddpm, {"steps": 3, "label": 4}), (EXAMPLES["GPT"], {"length": 9})):
        model = make()
        mg.save(tmp_path / "a.npz", model)
        back = mg.load(str(tmp_path / "a.npz"))
        assert np.array_equal(back.sample(3, rng(), **how), model.sample(3, rng(), **how))
    x = rng().integers(0, 7, (4, 9))
    first = [loss for _, loss in train(model, [x] * 3)]
    assert [loss for _, loss in train(back, [x] * 3)] == first and same(model, back)


def train(model, batches, **more):
    optimizer = mg.AdamW(nn.parameters(model), 1e-2)
    return mg.train(model, batches, 100, optimizer, rng(), progress=False, **more)


def test_half_precision_halves_the_file_and_rounds_the_numbers(tmp_path):
    model = digits_ddpm()
    mg.save(tmp_path / "whole.npz", model)
    mg.save(tmp_path / "half.npz", model, half=True)
    back = mg.load(tmp_path / "half.npz")
    for name, a in nn.state(model).items():
        assert np.array_equal(nn.state(back)[name], a.astype(np.float16).astype(np.float32)), name
    arrays = sum(p.data.nbytes for p in nn.parameters(model).values())
    sizes = (tmp_path / "whole.npz").stat().st_size, (tmp_path / "half.npz").stat().st_size
    assert sizes[0] - sizes[1] == pytest.approx(arrays / 2, abs=100)
    chain = EXAMPLES["MarkovChain"]()  # float64 stays
    mg.save(tmp_path / "chain.npz", chain, half=True)
    assert same(mg.load(tmp_path / "chain.npz"), chain)
    with pytest.raises(ValueError, match="half"):
        mg.save(tmp_path / "half.npz", model, ema=mg.EMA(nn.parameters(model)), half=True)


def test_the_file_is_a_plain_npz_that_numpy_reads_without_pickle(tmp_path):
    model = EXAMPLES["GPT"]()
    mg.save(tmp_path / "a.npz", model, step=7)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        manifest = json.loads(file["manifest.json"])
        assert manifest["format"] == 2 and manifest["step"] == 7
        for name, a in nn.state(model).items():
            assert np.array_equal(file[f"model.{name}"], a)
        assert set(manifest["arrays"]) == set(file.files) - {"manifest.json"}
    assert not any(
        word in (ROOT / "minigen" / "checkpoints.py").read_text()
        for word in ("import pickle", "allow_pickle=True")
    )


class Unknown:
    def __init__(self):
        self.weight = mg.Tensor([1.0])


def test_what_no_checkpoint_can_rebuild_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "a.npz"
    for model in (Unknown(), mg.DDPM(Unknown(), schedules.cosine()), [1.0], {"a": 1}):
        with pytest.raises((TypeError, ValueError)):
            mg.save(path, model)
            mg.load(path)
        path.unlink(missing_ok=True)
    with pytest.raises(TypeError, match=r"model\.net is a Unknown"):
        mg.save(path, mg.DDPM(Unknown(), schedules.cosine()))
    with pytest.raises(ValueError, match="up to 1000000"):
        mg.save(path, mg.DDPM(networks.MLP((2,), rng=rng()), steps=2_000_000))
    assert not list(tmp_path.iterdir())


# -- resuming ------------------------------------------------------------------------------------

STEPS = 12
X = rng(5).uniform(-1, 1, (10, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(10)
TOKENS = rng(6).integers(0, 7, 60)


def ddpm_run():
    model = digits_ddpm()
    rows = mg.data.batches(np.arange(10), 3, rng(1))
    return model, ((X[i], LABELS[i]) for i in rows)  # epochs of three batches, shuffled


def gpt_run():
    return EXAMPLES["GPT"](), mg.data.crops(TOKENS, 12, 4, rng(1))


RUNS = {
    "ddpm, AdamW": (ddpm_run, lambda p: mg.AdamW(p, 3e-3, betas=(0.8, 0.9), weight_decay=0.1)),
    "gpt, Adam": (gpt_run, lambda p: mg.Adam(p, 3e-3)),
    "gpt, SGD": (gpt_run, lambda p: mg.SGD(p, 1e-2, momentum=0.9)),
}


def start_run(name):
    """Model, batches, optimiser, moving average and generator, as they are at the start."""
    make, optimizer = RUNS[name]
    model, batches = make()
    parameters = nn.parameters(model)
    return model, batches, optimizer(parameters), mg.EMA(parameters, 0.9), rng(2)


def go_on(model, batches, optimizer, ema, generator, start=0):
    return mg.train(
        model, batches, STEPS, optimizer, generator, learning_rate=mg.optim.warmup_cosine(1e-2),
        max_norm=1.0, ema=ema, start=start, progress=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_resuming_after_any_step_gives_the_uninterrupted_run_bit_for_bit(name, tmp_path):
    run = start_run(name)
    losses = []
    for step, loss in go_on(*run):
        losses.append(loss)
        mg.save(tmp_path / f"{step}.npz", run[0], *run[2:], step)
    for k in range(1, STEPS + 1):
        model, _, optimizer, ema, generator = again = start_run(name)
        generator.random(5)  # none of this may matter: it is all replaced
        step = mg.resume(tmp_path / f"{k}.npz", model, optimizer, ema, generator)
        assert step == k
        rest = [loss for _, loss in go_on(*again, start=step)]
        assert rest == losses[k:]
        assert same(model, run[0]) and same(optimizer, run[2]) and same(ema, run[3])
        assert generator.bit_generator.state == run[4].bit_generator.state


def test_resuming_in_a_fresh_process_gives_the_same_bits(tmp_path):
    run = start_run("ddpm, AdamW")
    for step, _ in go_on(*run):
        if step == 5:
            mg.save(tmp_path / "5.npz", run[0], *run[2:], step)
    code = f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        import minigen as mg, test_checkpoints as t
        model, batches, optimizer, ema, generator = again = t.start_run("ddpm, AdamW")
        step = mg.resume({str(tmp_path / "5.npz")!r}, model, optimizer, ema, generator)
        for step, _ in t.go_on(*again, start=step): pass
        mg.save({str(tmp_path / "end.npz")!r}, model, optimizer, ema, generator, step)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    mg.save(tmp_path / "here.npz", run[0], *run[2:], STEPS)
    assert (tmp_path / "end.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()


@pytest.mark.parametrize(
    "bits", [np.random.MT19937, np.random.SFC64, np.random.Philox, np.random.PCG64DXSM]
)
def test_every_kind_of_generator_is_restored(bits, tmp_path):
    generator = np.random.Generator(bits(3))
    generator.standard_normal(5, np.float32)
    mg.save(tmp_path / "a.npz", mg.LinearAR(1), rng=generator)
    expected = generator.standard_normal(100)
    other = np.random.Generator(bits(4))
    mg.resume(tmp_path / "a.npz", mg.LinearAR(1), rng=other)
    assert np.array_equal(other.standard_normal(100), expected)
    with pytest.raises(CheckpointError, match=r"expected rng: PCG64\n.*the file has rng: "):
        mg.resume(tmp_path / "a.npz", mg.LinearAR(1), rng=rng())


def test_an_assigned_learning_rate_is_restored(tmp_path):
    model, _, optimizer, _, _ = start_run("gpt, SGD")
    optimizer.lr = 0.123
    mg.save(tmp_path / "a.npz", model, optimizer)
    model, _, optimizer, _, _ = start_run("gpt, SGD")
    mg.resume(tmp_path / "a.npz", model, optimizer)
    assert optimizer.lr == 0.123


def test_what_was_not_saved_or_differs_is_listed_whole_and_nothing_is_touched(tmp_path):
    model, _, optimizer, ema, generator = start_run("ddpm, AdamW")
    mg.save(tmp_path / "a.npz", model, optimizer, ema, generator, 3)
    other = digits_ddpm(seed=9, predict="noise")
    wrong = mg.AdamW(nn.parameters(other), 1e-3, betas=(0.8, 0.99), weight_decay=0.2)
    average = mg.EMA(nn.parameters(other), 0.99)
    before = {k: v.copy() for k, v in nn.state([other, wrong, average]).items()}
    lr, state = wrong.lr, generator.bit_generator.state
    with pytest.raises(CheckpointError) as refusal:
        mg.resume(tmp_path / "a.npz", other, wrong, average)
    text = str(refusal.value)
    for line in (
        "expected model.arguments.predict: noise",
        "the file has model.arguments.predict: velocity",
        "expected optimizer.arguments.betas: [0.8, 0.99]",
        "the file has optimizer.arguments.betas: [0.8, 0.9]",
        "expected optimizer.arguments.weight_decay: 0.2",
        "the file has optimizer.arguments.weight_decay: 0.1",
        "expected ema.arguments.decay: 0.99",
        "the file has ema.arguments.decay: 0.9",
        "the file has rng: PCG64",
    ):
        assert line in text
    assert text.count("\n") == 9
    after = nn.state([other, wrong, average])
    assert all(np.array_equal(before[k], after[k]) for k in before) and wrong.lr == lr
    assert generator.bit_generator.state == state


# -- arrays that do not fit ----------------------------------------------------------------------


def altered(path, change, digests=True):
    """Rewrite a checkpoint with manifest and arrays changed, sealed anew: only a hand does that."""
    manifest, arrays = checkpoints._read(path)
    arrays = dict(arrays)
    change(manifest, arrays)
    if digests:
        manifest["arrays"] = {name: checkpoints._digest(a) for name, a in arrays.items()}
    path.write_bytes(checkpoints._pack(manifest, arrays))


def test_missing_extra_renamed_reshaped_and_retyped_arrays_are_all_listed(tmp_path):
    path = tmp_path / "a.npz"
    model = EXAMPLES["GPT"]()
    block = "model.network.blocks.0"

    def change(manifest, arrays):
        del arrays[f"{block}.norm1.weight"]
        arrays["model.extra"] = np.zeros(3, np.float32)
        arrays["model.renamed"] = arrays.pop(f"{block}.norm2.weight")
        arrays[f"{block}.up.weight"] = arrays[f"{block}.up.weight"].T
        arrays[f"{block}.down.weight"] = arrays[f"{block}.down.weight"].astype(np.float64)

    expected = (
        f"missing: {block}.norm1.weight",
        "unexpected: model.extra",
        "unexpected: model.renamed",
        f"missing: {block}.norm2.weight",
        f"{block}.up.weight: expected float32 (32, 8), got float32 (8, 32)",
        f"{block}.down.weight: expected float32 (8, 32), got float64 (8, 32)",
    )
    before = {name: a.copy() for name, a in nn.state(model).items()}
    for read in (mg.load, lambda p: mg.resume(p, model)):
        mg.save(path, model)
        altered(path, change)
        with pytest.raises(CheckpointError) as refusal:
            read(path)
        assert all(line in str(refusal.value) for line in expected), refusal.value
        assert str(refusal.value).count("\n") == len(expected)
    assert all(np.array_equal(a, before[name]) for name, a in nn.state(model).items())
    mg.save(path, model)
    altered(path, change, digests=False)  # without the manifest knowing: the manifest lists them
    with pytest.raises(CheckpointError) as refusal:
        mg.load(path)
    for name in ("norm1.weight", "norm2.weight", "up.weight", "down.weight"):
        assert f"expected {block}.{name}: " in str(refusal.value)
    for name in ("model.extra", "model.renamed", f"{block}.up.weight", f"{block}.down.weight"):
        assert f"the file has {name}: " in str(refusal.value)
    assert str(refusal.value).count("\n") == 8


def test_one_changed_number_is_found_by_its_sha256_even_under_a_right_seal(tmp_path):
    path = tmp_path / "a.npz"
    mg.save(path, EXAMPLES["LinearAR"]())

    def change(manifest, arrays):
        arrays["model.coefficients"] = np.nextafter(arrays["model.coefficients"], 1)

    altered(path, change, digests=False)
    with pytest.raises(CheckpointError, match=r"model\.coefficients"):
        mg.load(path)


# -- damage --------------------------------------------------------------------------------------


@pytest.fixture
def load_bytes(monkeypatch):
    """`mg.load` of a file with this content; no disk, for thousands of tries."""

    def load(content):
        monkeypatch.setattr(Path, "read_bytes", lambda path: bytes(content))
        return mg.load("a.npz")

    return load


def small_file(path, model):
    mg.save(path, model)
    return bytearray(path.read_bytes())


def test_truncation_at_every_length_is_refused(tmp_path, load_bytes):
    content = small_file(tmp_path / "a.npz", EXAMPLES["LinearAR"]())
    assert same(load_bytes(content), EXAMPLES["LinearAR"]())
    for cut in [
        *(content[:length] for length in range(len(content))),
        content + b"\0",
        content * 2,
    ]:
        with pytest.raises(CheckpointError):
            load_bytes(cut)


def test_every_flipped_bit_is_refused(tmp_path, load_bytes):
    content = small_file(tmp_path / "a.npz", EXAMPLES["LinearAR"]())
    for bit in range(8 * len(content)):
        content[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckpointError):
            load_bytes(content)
        content[bit // 8] ^= 1 << bit % 8


def flips_under_a_right_seal(path, load_bytes, bits):
    """The second line of defence: only the documented error, no array other than those saved."""
    model = mg.NGram(1, 3).fit(np.array([0, 1, 2, 2, 1, 0, 0]))
    content = small_file(path, model)
    refused = 0
    for bit in bits(8 * (len(content) - 64)):
        content[bit // 8] ^= 1 << bit % 8
        try:
            back = load_bytes(reseal(bytes(content)))
        except CheckpointError:
            refused += 1
        else:
            assert same(back, model), f"bit {bit}"
        content[bit // 8] ^= 1 << bit % 8
    return refused


def test_flipped_bits_under_a_right_seal_change_no_array(tmp_path, load_bytes):
    def some(bits):
        return rng(8).choice(bits, 1500, replace=False)

    assert flips_under_a_right_seal(tmp_path / "a.npz", load_bytes, some) > 1000


@pytest.mark.thorough
def test_every_flipped_bit_under_a_right_seal_changes_no_array(tmp_path, load_bytes):
    flips_under_a_right_seal(tmp_path / "a.npz", load_bytes, range)


def test_the_first_format_gives_its_model_but_no_optimiser(tmp_path):
    """There the optimiser kept its matrices row by row; here it keeps them column by column."""
    model = EXAMPLES["GPT"]()
    optimizer = mg.AdamW(nn.parameters(model))
    mg.save(tmp_path / "a.npz", model, optimizer, step=7)
    with np.load(tmp_path / "a.npz") as file:
        manifest = json.loads(file["manifest.json"]) | {"format": 1}
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        files = [
            (name, archive.read(name)) for name in archive.namelist() if name != "manifest.json"
        ]
    (tmp_path / "a.npz").write_bytes(packed(manifest, files))
    assert same(mg.load(tmp_path / "a.npz"), model)
    with pytest.raises(mg.checkpoints.CheckpointError, match="format 1"):
        mg.resume(tmp_path / "a.npz", model, optimizer)


# -- hostile files -------------------------------------------------------------------------------


def packed(manifest, files):
    """A sealed zip with these entries: (name, bytes) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "manifest.json", manifest if isinstance(manifest, str) else json.dumps(manifest)
        )
        for name, content in files:
            archive.writestr(name, content)
        archive.comment = b"0" * 64
    return reseal(buffer.getvalue())


def npy(array=None, *, header=None, body=b""):
    file = io.BytesIO()
    if header is None:
        np.lib.format.write_array(file, np.asarray(array), version=(1, 0), allow_pickle=True)
        return file.getvalue()
    text = f"{header}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("pickle-was-run",))


def manifest_of(model, arrays=(), **change):
    return {
        "format": 1, "parts": {"model": model}, "step": 0, "rng": None, "half": False,
        "arrays": dict(arrays), **change,
    }  # fmt: skip


AR = {"class": "LinearAR", "arguments": {"order": 1}}
GPT = {"vocab_size": 9, "context": 9, "width": 8, "heads": 2}


def with_entry(content, name="optimizer.a.npy", array=None):
    """One more entry beside a good model; with `array`, its sha256 is right, its kind is odd."""
    arrays = nn.state({"model": mg.LinearAR(1)})
    files = [(f"{place}.npy", npy(a)) for place, a in arrays.items()]
    digests = {place: checkpoints._digest(a) for place, a in arrays.items()}
    digests[name.removesuffix(".npy")] = "0" * 64 if array is None else checkpoints._digest(array)
    return manifest_of(AR, digests), [*files, (name, content)]


def with_array(array, name="optimizer.a.npy"):
    return with_entry(npy(array), name, array)


def with_header(shape, dtype="<f8", body=b""):
    return with_entry(
        npy(
            header=f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': ({shape}), }}",
            body=body,
        )
    )


def of_class(name, **arguments):
    return manifest_of({"class": name, "arguments": arguments}), []


HIDDEN_BOMB = {
    "dimensions": 2,
    "hidden": [{"class": "LinearAR", "arguments": {"order": 10**6}} for _ in range(1000)],
}


def with_size(array):
    """An AR model whose order is an array of the file."""
    size = {"class": "LinearAR", "arguments": {"order": {"array": "model.order"}}}
    digests = {"model.order": checkpoints._digest(array)}
    return manifest_of(size, digests), [("model.order.npy", npy(array))]


HOSTILE = {
    "a pickled object": with_entry(npy(np.array([Bomb()], object))),
    "an object array": with_header("1,", "|O", b"\0" * 8),
    "a structured array": with_array(np.zeros(2, "f4,i4")),
    "text": with_array(np.array(["a"])),
    "an exabyte": with_header("1000000, 100000000000"),
    "a product beyond 64 bits": with_header("4294967296, 4294967296"),
    "a negative size": with_header("-1, -1", body=b"\0" * 8),
    "a header that is code": with_entry(npy(header="__import__('os').mkdir('code-was-run')")),
    "a path in a name": with_array(np.zeros(1), "../model.a.npy"),
    "an absolute path": with_array(np.zeros(1), "/tmp/model.a.npy"),
    "a Windows path": with_array(np.zeros(1), "C:\\model.a.npy"),
    "no array at all": with_entry(b"hello", "model.a.txt"),
    "version 2 of npy": with_entry(b"\x93NUMPY\x02" + npy(np.zeros(1))[7:]),
    "a class that is not ours": of_class("Popen", args="true"),
    "a function of a module": of_class("os.system", command="true"),
    "an unknown argument": of_class("LinearAR", order=1, hook=1),
    "an order of a billion": of_class("LinearAR", order=10**9),
    "a wide network": of_class("GPT", **GPT | {"width": 10**5}),
    "a deep network": of_class("GPT", **GPT, layers=10**6),
    "a long context": of_class("GPT", **GPT | {"context": 10**6}),
    "a width beyond 64 bits": of_class("GPT", **GPT | {"width": 2**70}),
    "a long schedule": of_class("linear", steps=10**12),
    "a long schedule, as a float": of_class("linear", steps=1e12),
    "a size that is not a number": of_class("linear", steps=float("nan")),
    "many narrow layers": of_class("MLP", shape=[1], width=1, time_features=2, layers=10**6),
    "layers of width 0": of_class("MLP", shape=[1], width=0, time_features=2, layers=10**6),
    "a wide MADE": of_class("MADE", dimensions=30000),
    "a MADE of many levels": of_class("MADE", dimensions=2, levels=10**6, hidden=[10**6]),
    "an n-gram of a high order": of_class("NGram", order=10**6, vocab_size=10**6),
    "a thousand models in one": of_class("MADE", **HIDDEN_BOMB),
    "a size that is an array": with_size(np.array([10**9])),
    "a size that is an array of one number": with_size(np.array(10**9)),
    "a size that is an array of floats": with_size(np.array([1e9])),
    "deep nesting": (
        '{"format": 1, "parts": {"model": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        [],
    ),
    "no JSON": ("{", []),
    "another format": (manifest_of(AR, format=2), []),
    "no model": (manifest_of(AR, parts={}), []),
    "a list for a manifest": ([1, 2], []),
    "arguments that are no dict": (manifest_of({"class": "LinearAR", "arguments": [1]}), []),
}


MEMORY = 2**25  # bytes that a file of a few kilobytes may make `load` allocate: 32 MiB


def peak_memory(function):
    """Bytes that function() had allocated at most, those of NumPy's arrays among them."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_before_anything_large_is_allocated_or_run(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npz").write_bytes(packed(*HOSTILE[name]))

    def read():
        with pytest.raises(CheckpointError):
            mg.load("a.npz")
        with pytest.raises(CheckpointError):
            mg.resume("a.npz", mg.LinearAR(1))

    assert peak_memory(read) < MEMORY
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]  # nothing was run that leaves a trace


def test_the_hostile_files_would_be_loaded_without_what_makes_them_hostile(load_bytes):
    assert load_bytes(packed(*with_array(np.zeros(1)))).order == 1


def test_a_zip_bomb_and_repeated_names_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest_of(AR)))
        archive.writestr("model.a.npy", b"\0" * 100_000_000)
        archive.comment = b"0" * 64
    (tmp_path / "bomb.npz").write_bytes(reseal(buffer.getvalue()))
    with pytest.raises(CheckpointError, match="more bytes than the file has"):
        mg.load(tmp_path / "bomb.npz")
    with pytest.warns(UserWarning, match="Duplicate"):
        (tmp_path / "twice.npz").write_bytes(
            packed(manifest_of(AR), [("model.a.npy", npy(np.zeros(1)))] * 2)
        )
    with pytest.raises(CheckpointError, match="twice"):
        mg.load(tmp_path / "twice.npz")


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"PK\x05\x06" + b"\0" * 18, b"\x93NUMPY", b"{}", bytes(range(256))]
)
def test_what_is_no_checkpoint_at_all_is_refused(content, load_bytes):
    for whole in (content, content + hashlib.sha256(content).hexdigest().encode()):
        with pytest.raises(CheckpointError):
            load_bytes(whole)


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        mg.load(tmp_path / "nothing.npz")


# -- odd files: what a fuzzer makes of good ones -------------------------------------------------

ODD = [
    *(None, True, 0, 1, -1, 2, 3, 7, 10**5, 10**6, 10**6 + 1, 2**31, 2**63, 10**30),
    *(0.5, -0.5, 1e-300, 1e5, 1e6, 1e300, float("nan"), float("inf")),
    *("", "a", "noise", "é\0", [], [0], [1, 2, 3], [10**6] * 3, [[1]], {}),
    {"array": "model.nothing"},
    {"class": "cosine", "arguments": {}},
    {"class": "LinearAR", "arguments": {"order": 10**6}},
    {"class": "AdamW", "arguments": {}},
    {"class": 1},
]


def places(value, path=()):
    """The path of every value in nested dictionaries and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from places(item, (*path, key))


def pick(generator, options):
    return options[generator.integers(len(options))]


def change_manifest(generator, manifest, arrays):
    """One value of the manifest becomes an odd one, an array of the file, or is gone."""
    paths = [p for p in places(manifest) if p[0] != "arrays" and p != ("parts",)]
    arguments = [p for p in paths if "arguments" in p[:-1]]
    *path, last = pick(generator, arguments if arguments and generator.random() < 0.7 else paths)
    owner = manifest
    for key in path:
        owner = owner[key]
    kind = generator.integers(10)
    if kind == 0:
        del owner[last]
    elif kind == 1:
        owner[last] = {"array": pick(generator, list(arrays))} if arrays else None
    elif kind == 2 and isinstance(owner, dict):
        owner["odd"] = copy.deepcopy(pick(generator, ODD))
    else:
        owner[last] = copy.deepcopy(pick(generator, ODD))


def change_arrays(generator, manifest, arrays):
    """One array gets another shape, dtype or name, is doubled, or is gone."""
    if not arrays:
        arrays["model.odd"] = np.zeros(3)
        return
    name = pick(generator, list(arrays))
    a = arrays[name]
    with np.errstate(all="ignore"):
        arrays[name] = pick(
            generator,
            [
                *(a.T, a.ravel(), a[None], a[..., :-1] if a.ndim else a, a[:0] if a.ndim else a),
                *(a.astype(kind) for kind in ("f8", "f2", ">f4", "i8", "u1", "?")),
                *(np.full_like(a, np.nan), np.array(10**9), np.array([10**9]), np.zeros(10**5)),
            ],
        )
    if generator.random() < 0.3:
        arrays[pick(generator, ["model.odd", "model", "optimizer.a", f"{name}.0"])] = a
    if generator.random() < 0.2:
        del arrays[name]


def odd_file(generator, content):
    """A file like none that `save` wrote, most of them under a right seal with right digests."""
    if generator.random() < 0.1:  # bits and bytes
        content = bytearray(content)
        for place in generator.integers(len(content) - 64, size=generator.integers(1, 5)):
            content[place] = generator.integers(256)
        return reseal(bytes(content))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        arrays = {n[:-4]: np.load(io.BytesIO(archive.read(n))) for n in names}
    for _ in range(generator.integers(1, 4)):
        change = change_manifest if generator.random() < 0.7 else change_arrays
        with contextlib.suppress(KeyError, TypeError, IndexError):  # the place is gone already
            change(generator, manifest, arrays)
    manifest["arrays"] = {name: checkpoints._digest(a) for name, a in arrays.items()}
    return packed(manifest, [(f"{name}.npy", npy(a)) for name, a in arrays.items()])


def read_odd_files(number, folder, seed=11):
    """Read so many odd files, in little memory and time, `CheckpointError` only; how many."""
    generator, refused = rng(seed), 0
    models = {name: make() for name, make in EXAMPLES.items()}
    contents = {}
    for name, model in models.items():
        mg.save(folder / "a.npz", model, rng=rng())
        contents[name] = (folder / "a.npz").read_bytes()
    for file in range(number):
        name = pick(generator, list(models))
        (folder / "a.npz").write_bytes(odd_file(generator, contents[name]))
        before, begin = nn.state(models[name]), time.process_time()

        def read(model=models[name], before=before):
            nonlocal refused
            try:
                mg.load(folder / "a.npz")
            except CheckpointError:
                refused += 1
            with contextlib.suppress(CheckpointError):
                mg.resume(folder / "a.npz", model, rng=rng())
                nn.load_state(model, before)

        try:
            peak = peak_memory(read)
        except Exception as error:
            raise AssertionError(f"file {file}, like {name}: {error!r}") from error
        (folder / "a.npz").replace(folder / "last.npz")
        assert peak < MEMORY, f"file {file}, like {name}: {peak:,} bytes"
        assert time.process_time() - begin < 20, f"file {file}, like {name}"
        assert all(
            np.array_equal(before[n], a, equal_nan=True) for n, a in nn.state(models[name]).items()
        )
    return refused


def test_odd_files_are_refused_with_the_one_error_in_little_memory(tmp_path):
    assert read_odd_files(150, tmp_path) > 100


@pytest.mark.thorough
def test_thousands_of_odd_files_are_refused_with_the_one_error_in_little_memory(tmp_path):
    assert read_odd_files(3000, tmp_path, seed=12) > 2000


# -- looked at when saving -----------------------------------------------------------------------


def float64_layer():
    net = EXAMPLES["MLP"]()
    net.first.weight = mg.Tensor(net.first.weight.data.astype(np.float64))
    return net


def other_width():
    net = EXAMPLES["MLP"]()
    net.width += 1
    return net


def one_more_array():
    gpt = EXAMPLES["GPT"]()
    gpt.note = np.zeros(3)
    return gpt


def array_in_a_tuple():
    chain = EXAMPLES["LinearAR"]()
    chain.pair = (np.zeros(2),)
    return chain


@pytest.mark.parametrize(
    "make, words",
    [
        (float64_layer, "first.weight: expected float32 .* got float64"),
        (other_width, "first.weight: expected"),
        (one_more_array, "unexpected: model.note"),
        (array_in_a_tuple, "pair"),
        (lambda: mg.DDPM(networks.MLP((2,), rng=rng()), schedules.linear(np.nan)), "beta_start"),
    ],
)
def test_what_load_would_refuse_is_not_saved(make, words, tmp_path):
    mg.save(tmp_path / "a.npz", mg.LinearAR(2))
    content = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(ValueError, match=words):
        mg.save(tmp_path / "a.npz", make())
    assert (tmp_path / "a.npz").read_bytes() == content


@pytest.mark.parametrize("bad", [65520.0, -1e9])
def test_a_weight_too_large_for_half_precision_is_refused(bad, tmp_path):
    net = EXAMPLES["MLP"]()
    values = np.zeros(net.first.weight.shape, np.float32)
    values[1, 2] = 65504  # the largest
    net.first.weight.data = values
    mg.save(tmp_path / "a.npz", net, half=True)
    assert same(mg.load(tmp_path / "a.npz").first, net.first)
    values[0, 0] = bad
    net.first.weight.data = values
    with pytest.raises(ValueError, match=r"model\.first\.weight has numbers beyond 65504"):
        mg.save(tmp_path / "b.npz", net, half=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    values[0, 0] = np.inf  # what is infinite is saved as it is
    net.first.weight.data = values
    mg.save(tmp_path / "c.npz", net, half=True)
    assert same(mg.load(tmp_path / "c.npz").first, net.first)


# -- interrupted, disk full, read-only -----------------------------------------------------------

SAVING_LOOP = """
    import sys
    sys.path.insert(0, {root!r})
    import numpy as np, minigen as mg
    model = mg.LinearAR(20_000)
    mg.save({path!r}, model)
    print("ready", flush=True)
    k = 0
    while True:
        k += 1
        model.coefficients = np.full(20_000, float(k))
        mg.save({path!r}, model, step=k)
"""


def kill_while_saving(path, times):
    """kill -9 at random moments of a saving loop; how many unreadable, and the steps found."""
    generator, unreadable, steps = rng(4), 0, []
    code = textwrap.dedent(SAVING_LOOP).format(root=str(ROOT), path=str(path))
    for _ in range(times):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(generator.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        try:
            coefficients = mg.load(path).coefficients
            steps.append(checkpoints._read(path)[0]["step"])
            assert (coefficients == steps[-1]).all() or steps[-1] == 0
        except CheckpointError:
            unreadable += 1
    return unreadable, steps


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_kill_9_in_a_saving_loop_leaves_a_readable_file(tmp_path):
    unreadable, steps = kill_while_saving(tmp_path / "a.npz", 8)
    assert unreadable == 0 and max(steps) > 0


@pytest.mark.thorough
@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_kill_9_a_hundred_times_leaves_a_readable_file(tmp_path):
    unreadable, steps = kill_while_saving(tmp_path / "a.npz", 100)
    assert unreadable == 0 and np.count_nonzero(steps) > 30


@pytest.mark.parametrize("call", ["open", "write", "flush", "fsync", "replace"])
def test_an_error_at_any_stage_leaves_the_old_checkpoint_whole_and_no_debris(
    call, tmp_path, monkeypatch
):
    path = tmp_path / "a.npz"
    old = EXAMPLES["LinearAR"]()
    mg.save(path, old)
    content = path.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    class Full(io.FileIO):
        def write(self, data):
            return fail() if call == "write" else super().write(data[:100])

        def flush(self):
            return fail() if call == "flush" else super().flush()

    if call in ("fsync", "replace"):
        monkeypatch.setattr(os, call, fail)
    else:
        opened = fail if call == "open" else lambda name, mode: Full(name, mode)
        monkeypatch.setattr(checkpoints, "open", opened, raising=False)
    with pytest.raises(OSError, match="No space left"):
        mg.save(path, mg.LinearAR(2))
    monkeypatch.undo()
    assert path.read_bytes() == content and [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    assert same(mg.load(path), old)


def child(code, **more):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport os, minigen as mg\n"
        + textwrap.dedent(code)
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **more)


@pytest.mark.skipif(os.name != "posix", reason="limits of processes")
def test_a_full_disk_is_an_error_and_the_old_checkpoint_stays(tmp_path):
    """The system itself stops the write half-way: at 4 kB, of a file of 160 kB."""
    path = tmp_path / "a.npz"
    mg.save(path, mg.LinearAR(2))
    content = path.read_bytes()
    result = child(
        f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        model = mg.LinearAR(20_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        mg.save({str(path)!r}, model)
        """
    )
    assert "OSError: [Errno 27] File too large" in result.stderr
    assert path.read_bytes() == content and [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.skipif(os.name != "posix", reason="rights of folders")
def test_a_read_only_folder_is_an_error_and_the_old_checkpoint_stays():
    with tempfile.TemporaryDirectory() as folder:  # root ignores rights: the child becomes nobody
        path = Path(folder, "a.npz")
        mg.save(path, mg.LinearAR(2))
        content = path.read_bytes()
        os.chmod(folder, 0o555)
        result = child(f"os.geteuid() or os.setuid(65534)\nmg.save({str(path)!r}, mg.LinearAR(3))")
        os.chmod(folder, 0o755)
        assert "PermissionError" in result.stderr
        assert path.read_bytes() == content and os.listdir(folder) == ["a.npz"]


def test_two_processes_that_save_to_one_name_never_mix(tmp_path):
    path = tmp_path / "a.npz"
    code = textwrap.dedent(SAVING_LOOP).format(root=str(ROOT), path=str(path))
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)
    ]
    for process in both:
        process.stdout.readline()
    for _ in range(50):
        mg.load(path)
    for process in both:
        process.kill()
        process.wait()
        process.stdout.close()


def test_threads_that_save_to_one_name_never_fail_and_never_mix(tmp_path):
    """180 saves by six threads, read all the while: each file is whole, and one of those saved."""
    path = tmp_path / "a.npz"
    models = [mg.LinearAR.known(np.full(2000, float(k))) for k in range(6)]
    mg.save(path, models[0])

    def saving(model):
        for _ in range(30):
            mg.save(path, model)

    with ThreadPoolExecutor(6) as pool:
        saves = [pool.submit(saving, model) for model in models]
        while not all(save.done() for save in saves):
            found = mg.load(path).coefficients
            assert (found == found[0]).all()
        for save in saves:
            save.result()
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


# -- the checkpoints that ship with the lessons --------------------------------------------------


def test_shipped_checkpoints_are_small_whole_rebuildable_and_documented():
    files = sorted(shipped.FOLDER.glob("*.npz"))
    assert {file.stem for file in files} == set(shipped.RECIPES)
    assert sum(file.stat().st_size for file in files) <= 5_000_000
    for file in files:
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        recipe = shipped.RECIPES[file.stem]
        assert file.stat().st_size <= shipped.LARGEST
        assert hashlib.sha256(file.read_bytes()).hexdigest() == facts["sha256"]
        model = mg.load(file)
        assert sum(p.size for p in nn.parameters(model).values()) == facts["numbers"]
        for figure, (low, high) in recipe.bounds.items():
            assert low <= facts["figures"][figure] <= high, (file.stem, figure)


def shipped_facts(name):
    return json.loads((shipped.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_a_shipped_checkpoint_still_has_its_stated_figure():
    gpt, block = (mg.load(shipped.FOLDER / f"digits_{name}.npz") for name in ("gpt", "block"))
    x = mg.data.digits().test.reshape(-1, 64)
    bits = mg.evaluate.bits_per_dim(gpt, x).value
    assert bits == pytest.approx(
        shipped_facts("digits_gpt")["figures"]["test_bits_per_dim"], abs=1e-3
    )
    bits = -mg.left_to_right(block, x).mean() / 64 / np.log(2)
    stated = shipped_facts("digits_block")["figures"]["test_bits_per_dim_left_to_right"]
    assert bits == pytest.approx(stated, abs=1e-3)


@pytest.mark.parametrize("name", sorted(set(shipped.RECIPES) - {"digits_ddpm"}))
def test_a_shipped_checkpoint_says_what_its_tokens_mean(name):
    facts, model = shipped_facts(name), mg.load(shipped.FOLDER / f"{name}.npz")
    if "vocabulary" in facts:
        assert facts["vocabulary"] == mg.data.python_manual("a-z").vocabulary
        assert len(facts["vocabulary"]) == model.vocab_size
    else:
        assert np.prod(facts["shape"]) == model.context


@pytest.mark.thorough
@pytest.mark.parametrize("name", shipped.RECIPES)
def test_every_stated_figure_of_the_shipped_checkpoints_is_reached(name):
    _, problems = shipped.verify(name, shipped.FOLDER / f"{name}.npz")
    assert problems == []


def test_the_command_writes_nothing_where_a_figure_is_missed(tmp_path, monkeypatch, capsys):
    def recipe(figure):
        return shipped.Recipe(
            "a test",
            lambda r: EXAMPLES["GPT"](),
            lambda m, r: {"figure": figure},
            {"figure": (1, 2)},
            lambda: {"shape": [3, 4]},
        )

    monkeypatch.setattr(shipped, "RECIPES", {"good": recipe(1.5), "bad": recipe(2.5)})
    assert shipped.build("bad", tmp_path) == ["figure = 2.500, must lie in 1 .. 2"]
    assert not list(tmp_path.iterdir())
    assert shipped.build("good", tmp_path) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["good.json", "good.npz"]
    assert json.loads((tmp_path / "good.json").read_text(encoding="utf-8"))["shape"] == [3, 4]
    assert "WRONG: figure = 2.500" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        shipped.main(["unknown"])


def test_a_recipe_leaves_the_averaged_values_and_an_interrupted_one_leaves_nothing():
    (gpt, batches), (twin, same_batches) = gpt_run(), gpt_run()
    assert shipped.train(gpt, batches, 5, 1e-2, rng()) is gpt
    _, ema = mg.fit(twin, same_batches, steps=5, lr=1e-2, rng=rng())
    assert not same(gpt, twin)
    with ema.applied():
        assert same(gpt, twin)
    with pytest.raises(KeyboardInterrupt):
        shipped.train(gpt, itertools.islice(batches, 2), 30, 1e-2, rng())
