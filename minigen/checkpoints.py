"""Checkpoints: a model, and where its training stood, in one file that is loaded exactly as it was saved or refused.

The file is a plain npz (a zip of .npy arrays, uncompressed) with a `manifest.json` beside the arrays: how to build the
model, where training stood, the sha256 of every array. The zip's comment seals it: the sha256 of all bytes before.
Nothing is ever unpickled, and nothing is built but the classes of `CLASSES`, by the constructor rule: whatever a
constructor takes (except `rng`) is an attribute of the same name.

    mg.save("run.npz", model, optimizer, ema, rng, step)        # in the training loop, now and then
    model = mg.load("run.npz")                                  # elsewhere: the model alone
    step = mg.resume("run.npz", model, optimizer, ema, rng)     # later: all made as at the start, batches too, then
    for step, loss in mg.train(model, batches, steps, optimizer, rng, ema=ema, start=step): ...
"""

import contextlib
import hashlib
import inspect
import io
import json
import math
import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from minigen import networks, nn, optim, schedules
from minigen.models import block, ddpm, gpt, linear, made, markov, masked, score

MODELS = (
    markov.MarkovChain,
    markov.NGram,
    linear.LinearAR,
    made.MADE,
    gpt.GPT,
    masked.MaskedDiffusion,
    block.BlockDiffusion,
    ddpm.DDPM,
    score.ScoreSDE,
)
NETWORKS = (networks.MLP, networks.UNet, networks.TokenTransformer, networks.PatchTransformer)
SCHEDULES = (
    schedules.linear,
    schedules.cosine,
    schedules.variance_preserving,
    schedules.variance_exploding,
)
TRAINING = (optim.SGD, optim.Adam, optim.AdamW, optim.EMA)
CLASSES = {c.__name__: c for c in (*MODELS, *NETWORKS, *SCHEDULES, schedules.flow, *TRAINING)}
SEAL = 64  # hexadecimal digits of a sha256
LARGEST_INTEGER = (
    10**6
)  # among constructor arguments: no file may ask for a model that does not fit in memory


class CheckpointError(ValueError):
    """The file is no whole checkpoint, or not one of this model; the message lists what differs."""


# -- saving ------------------------------------------------------------------------------------------------------------


def save(
    path: str | Path, model, optimizer=None, ema=None, rng=None, step: int = 0, half: bool = False
) -> None:
    """Write a checkpoint to `path`; a file that was there is replaced at once and whole, or left as it was.

    Args:
        model: an object of `CLASSES`. To save the averaged parameters instead: `with ema.applied(): mg.save(...)`.
        optimizer, ema, rng, step: where training stands, for `resume`; `load` needs the model alone.
        half: store float32 as float16: half the size, three digits. For a model to ship, not for resuming.

    Raises:
        TypeError: for an object that no checkpoint can rebuild. OSError: disk full, folder read-only, and the like.
    """
    if half and (optimizer is not None or ema is not None):
        raise ValueError(
            "save: half=True loses digits that resuming needs; give it the model alone"
        )
    parts = _given(model=model, optimizer=optimizer, ema=ema, rng=rng)
    arrays = nn.state(parts)
    if half:
        arrays = {
            name: a.astype(np.float16) if a.dtype == np.float32 else a for name, a in arrays.items()
        }
    manifest = {
        "format": 2,
        "parts": {name: _describe(part, name) for name, part in parts.items()},
        "step": int(step),
        "lr": getattr(optimizer, "lr", None),
        "rng": rng and rng.bit_generator.state,
        "arrays": {name: _digest(a) for name, a in arrays.items()},
    }
    _replace(Path(path), _pack(manifest, arrays))


def _given(**parts) -> dict:
    """The parts that are not None: `nn.state` of them names every array, as in "optimizer.first_moment"."""
    return {name: part for name, part in parts.items() if part is not None}


def _describe(value, place: str):
    """How to build an object, as JSON: its class and constructor arguments, these in turn; arrays by their place."""
    if isinstance(value, np.ndarray):
        return {"array": place}
    if isinstance(value, (list, tuple)):
        return [_describe(item, f"{place}.{i}") for i, item in enumerate(value)]
    if isinstance(value, np.random.Generator):
        return type(value.bit_generator).__name__
    if isinstance(value, (int, np.integer)) and abs(value) > LARGEST_INTEGER:
        raise ValueError(
            f"{place} is {value}: a checkpoint takes constructor arguments up to {LARGEST_INTEGER}"
        )
    if value is None or isinstance(value, (int, float, str, np.generic)):
        return value
    if CLASSES.get(type(value).__name__) is not type(value):
        raise TypeError(
            f"save: {place} is a {type(value).__name__}; a checkpoint holds only {', '.join(CLASSES)}"
        )
    names = set(inspect.signature(type(value)).parameters) - {"rng", "parameters", "lr"}
    arguments = {name: _describe(getattr(value, name), f"{place}.{name}") for name in sorted(names)}
    return {"class": type(value).__name__, "arguments": arguments}


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(
        f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()
    ).hexdigest()


def _pack(manifest: dict, arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of the file: always the same for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            zipfile.ZipInfo("manifest.json"),
            json.dumps(manifest, indent=1, default=lambda a: a.tolist()),
        )
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as file:
                npy.write_array(
                    file, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False
                )
        archive.comment = b"0" * SEAL
    content = buffer.getvalue()[:-SEAL]
    return content + hashlib.sha256(content).hexdigest().encode()


def _replace(path: Path, content: bytes) -> None:
    """Whoever opens `path`, whenever the power fails: the old bytes or the new ones, never a mixture.

    A process that is killed in here can leave a file `.NAME.PID.part` behind, which nobody reads.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # on the disk before the name points to it
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":  # the folder's own entry
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


# -- loading -----------------------------------------------------------------------------------------------------------


def load(path: str | Path):
    """The model of a checkpoint, built anew.

    Raises:
        CheckpointError: for anything but a whole checkpoint. OSError: the file cannot be read.
    """
    manifest, arrays = _read(path)
    arrays = {name: a for name, a in arrays.items() if name.startswith("model.")}
    with _refusal(path):
        model = _build(
            manifest["parts"]["model"], arrays, _Zeros(sum(a.size for a in arrays.values()))
        )
        for key, value in vars(
            model
        ).items():  # NGram's lists, empty until it is fitted, get room for their arrays
            while isinstance(value, list) and (name := f"model.{key}.{len(value)}") in arrays:
                value.append(arrays[name])
        nn.load_state({"model": model}, arrays)
    return model


def resume(path: str | Path, model, optimizer=None, ema=None, rng=None) -> int:
    """Put everything back as it was at `save`; returns the step, for `mg.train(..., start=step)`.

    The objects are made as they were at the start; what they hold is replaced.

    Raises:
        CheckpointError: listing every difference between the file and what was given; nothing was changed then.
    """
    manifest, arrays = _read(path)
    parts = _given(model=model, optimizer=optimizer, ema=ema, rng=rng)
    with _refusal(path):
        if manifest["format"] == 1 and parts.keys() & {"optimizer", "ema"}:
            raise ValueError(
                "format 1 keeps matrices of optimizer and ema row by row: only its model can be read"
            )
        _refuse_differences(
            {name: _describe(part, name) for name, part in parts.items()}, manifest["parts"]
        )
        nn.load_state(parts, arrays)
    if optimizer is not None:
        optimizer.lr = manifest[
            "lr"
        ]  # assigned between two steps, so it is no constructor argument to compare
    if rng is not None:
        rng.bit_generator.state = manifest["rng"]
    return manifest["step"]


@contextlib.contextmanager
def _refusal(path: str | Path):
    """Whatever a damaged or hostile file provokes in here becomes a CheckpointError."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(f"{path}: {type(error).__name__}: {error}") from error


def _refuse_differences(expected: dict, came: dict) -> None:
    expected, came = _lines(expected), _lines(came)
    if expected != came:
        lines = [f"expected {line}" for line in expected - came] + [
            f"the file has {line}" for line in came - expected
        ]
        raise ValueError("\n  ".join(["the file differs", *sorted(lines)]))


def _lines(value, place: str = "") -> set[str]:
    """Nested dictionaries as lines like "model.arguments.steps: 50"."""
    if isinstance(value, dict):
        return {
            line
            for name, item in value.items()
            for line in _lines(item, f"{place}.{name}".lstrip("."))
        }
    return {f"{place}: {value}"}


class _Zeros:
    """Stands in for a generator where all that is drawn will be replaced; refuses to draw more than `numbers`."""

    def __init__(self, numbers: int) -> None:
        self.left = numbers

    def standard_normal(self, shape, dtype) -> np.ndarray:
        self.left -= math.prod(shape)
        if self.left < 0:
            raise ValueError("the manifest describes a model of more numbers than the file holds")
        return np.zeros(shape, dtype)

    def uniform(self, low, high, shape) -> np.ndarray:
        return self.standard_normal(shape, np.float32)


def _build(description, arrays: dict[str, np.ndarray], rng: _Zeros):
    """The inverse of `_describe`; lists come back as tuples."""
    if isinstance(description, list):
        return tuple(_build(item, arrays, rng) for item in description)
    if not isinstance(description, dict):
        return _describe(description, "an argument")
    if "array" in description:
        return arrays[description["array"]]
    cls = CLASSES[description["class"]]
    arguments = {
        name: _build(argument, arrays, rng) for name, argument in description["arguments"].items()
    }
    return cls(**arguments, **({"rng": rng} if "rng" in inspect.signature(cls).parameters else {}))


def _read(path: str | Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Manifest and arrays (read-only) of a file that passed every test; sizes are checked before they are used."""
    content = Path(path).read_bytes()
    with _refusal(path):
        if hashlib.sha256(content[:-SEAL]).hexdigest().encode() != content[-SEAL:]:
            raise ValueError(
                "cut short, or changed since it was saved, or no checkpoint (the seal is wrong)"
            )
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("the zip claims to hold more bytes than the file has")
        files = {entry.filename: archive.read(entry) for entry in entries}
        manifest = json.loads(files.pop("manifest.json"))
        if manifest["format"] not in (1, 2) or len(files) != len(entries) - 1:
            raise ValueError(
                f"format {manifest['format']} (this version reads 1 and 2), or a name that occurs twice"
            )
        arrays = {name.removesuffix(".npy"): _array(name, entry) for name, entry in files.items()}
        _refuse_differences(manifest["arrays"], {name: _digest(a) for name, a in arrays.items()})
    return manifest, {
        name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in arrays.items()
    }


def _array(name: str, content: bytes) -> np.ndarray:
    """One .npy entry as a view of its bytes: nothing is allocated, and a shape that does not fit them raises."""
    file = io.BytesIO(content)
    npy.read_magic(file)
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.kind not in "fiub" or fortran or not name.replace(".", "").isidentifier():
        raise ValueError(f"{name} ({dtype} {shape}) is no array of numbers as `save` writes them")
    return np.frombuffer(content[file.tell() :], dtype).reshape(shape)
