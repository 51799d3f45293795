"""Checkpoints: a model, and where its training stood, loaded exactly as saved, or refused.

The file is a plain npz (a zip of .npy arrays, uncompressed) with a `manifest.json` beside the
arrays: how to build the model, where training stood, the sha256 of every array. The zip's comment
seals it: the sha256 of all bytes before. Nothing is ever unpickled, and nothing is built but the
classes of `CLASSES`, by the constructor rule: whatever a constructor takes (except `rng`) is an
attribute of the same name, and what it allocates is its layers, counted by `nn` before they are
made, and then at most as much again (masks are made where they are used).

    mg.save("run.npz", model, optimizer, ema, rng, step)     # in the training loop, now and then
    model = mg.load("run.npz")                               # elsewhere: the model alone
    step = mg.resume("run.npz", model, optimizer, ema, rng)  # later: all made as at the start,
    for step, loss in mg.train(                              # batches too
        model, batches, steps, optimizer, rng, ema=ema, start=step
    ): ...
"""

import contextlib
import hashlib
import inspect
import io
import json
import os
import secrets
import zipfile
from pathlib import Path

import numpy as np
from numpy import ndarray
from numpy.lib import format as npy

from minigen import networks, nn, optim, schedules
from minigen.models import block, ddpm, gpt, linear, made, markov, masked, score

BUILDABLE = (  # what a checkpoint may hold: a new class is one more name here
    markov.MarkovChain,
    markov.NGram,
    linear.LinearAR,
    made.MADE,
    gpt.GPT,
    masked.MaskedDiffusion,
    block.BlockDiffusion,
    ddpm.DDPM,
    score.ScoreSDE,
    networks.MLP,
    networks.UNet,
    networks.TokenTransformer,
    networks.PatchTransformer,
    schedules.linear,
    schedules.cosine,
    schedules.variance_preserving,
    schedules.variance_exploding,
    schedules.flow,
    optim.SGD,
    optim.Adam,
    optim.AdamW,
    optim.EMA,
)
CLASSES = {cls.__name__: cls for cls in BUILDABLE}
SEAL = 64  # hexadecimal digits of a sha256
# What a file may ask for: weights are counted against the numbers that it holds (`nn.at_most`);
# what else a constructor allocates is bounded by its arguments, and by how many objects there are.
LARGEST_NUMBER = 10**6
MOST_OBJECTS = 10


class CheckpointError(ValueError):
    """The file is, or would be, no whole checkpoint of this model; the message says why."""


# -- saving --------------------------------------------------------------------------------------


def save(
    path: str | Path, model, optimizer=None, ema=None, rng=None, step: int = 0, half: bool = False
) -> None:
    """Write a checkpoint to `path`; a file that was there is replaced at once and whole, or stays.

    Args:
        model: an object of `CLASSES`. To save the averaged parameters instead:
            `with ema.applied(): mg.save(...)`.
        optimizer, ema, rng, step: where training stands, for `resume`; not needed by `load`.
        half: store float32 as float16: half the size, three digits. For a model to ship, not for
            resuming.

    Raises:
        TypeError: for an object that no checkpoint can rebuild.
        CheckpointError: for a model that `load` would refuse (with a float64 layer, say).
        ValueError: for a number that is too large for half precision. Nothing is written then.
        OSError: disk full, folder read-only, and the like.
    """
    if half and (optimizer is not None or ema is not None):
        raise ValueError("save: half=True loses digits that resuming needs; give the model alone")
    parts = _given(model=model, optimizer=optimizer, ema=ema, rng=rng)
    described = {name: _describe(part, name) for name, part in parts.items()}
    arrays = nn.state(parts)
    with _refusal(f"{path} could not be loaded again"):
        _model(described["model"], arrays)
    if half:
        arrays = {name: _halved(name, array) for name, array in arrays.items()}
    manifest = {
        "format": 2,
        "parts": described,
        "step": int(step),
        "lr": getattr(optimizer, "lr", None),
        "rng": None if rng is None else rng.bit_generator.state,
        "arrays": {name: _digest(a) for name, a in arrays.items()},
    }
    _replace(Path(path), _pack(manifest, arrays))


def _given(**parts) -> dict:
    """The parts that are not None; `nn.state` of them names every array ("optimizer.velocity")."""
    return {name: part for name, part in parts.items() if part is not None}


def _describe(value, place: str):
    """How to build an object, as JSON: its class and constructor arguments, these in turn.

    Arrays are described by their place.
    """
    if isinstance(value, ndarray):
        return {"array": place}
    if isinstance(value, (list, tuple)):
        return [_describe(item, f"{place}.{i}") for i, item in enumerate(value)]
    if isinstance(value, np.random.Generator):
        return type(value.bit_generator).__name__
    if value is None or isinstance(value, (int, float, str, np.generic)):
        return _plain(value, place)
    name = type(value).__name__
    if CLASSES.get(name) is not type(value):
        classes = ", ".join(CLASSES)
        raise TypeError(f"save: {place} is a {name}; a checkpoint holds only {classes}")
    names = set(inspect.signature(type(value)).parameters) - {"rng", "parameters", "lr"}
    arguments = {name: _describe(getattr(value, name), f"{place}.{name}") for name in sorted(names)}
    return {"class": name, "arguments": arguments}


def _plain(value, place: str):
    """A constructor argument as JSON holds it; NaN, infinity and what is too large are refused."""
    if isinstance(value, (int, float, np.number)) and not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"{place} is {str(value)[:40]}; arguments go up to {LARGEST_NUMBER}")
    return value.item() if isinstance(value, np.generic) else value


def _halved(name: str, array: ndarray) -> ndarray:
    """float32 as float16, where it can stand for it."""
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if (np.isinf(half) & np.isfinite(array)).any():
        largest = np.finfo(np.float16).max
        raise ValueError(f"save: {name} has numbers beyond {largest}, too large for half=True")
    return half


def _digest(array: ndarray) -> str:
    kind = f"{array.dtype.str} {array.shape} "
    return hashlib.sha256(kind.encode() + array.tobytes()).hexdigest()


def _pack(manifest: dict, arrays: dict[str, ndarray]) -> bytes:
    """The bytes of the file: always the same for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        text = json.dumps(manifest, indent=1, default=lambda array: array.tolist())
        archive.writestr(zipfile.ZipInfo("manifest.json"), text)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as file:
                rows = np.asarray(array, order="C")
                npy.write_array(file, rows, version=(1, 0), allow_pickle=False)
        archive.comment = b"0" * SEAL
    content = buffer.getvalue()[:-SEAL]
    return content + hashlib.sha256(content).hexdigest().encode()


def _replace(path: Path, content: bytes) -> None:
    """Whoever opens `path`, whenever the power fails: the old bytes or the new, never a mixture.

    The new bytes wait in a file of their own name, whoever else saves to `path`. A process that is
    killed in here can leave it, `.NAME.*.part`, behind; nobody reads it.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as file:
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


# -- loading -------------------------------------------------------------------------------------


def load(path: str | Path):
    """The model of a checkpoint, built anew.

    Raises:
        CheckpointError: for anything but a whole checkpoint. OSError: the file cannot be read.
    """
    manifest, arrays = _read(path)
    with _refusal(path):
        return _model(manifest["parts"]["model"], arrays)


def _model(description: dict, arrays: dict[str, ndarray]):
    """Build what is described, no larger than the arrays, and put these in place."""
    arrays = {name: a for name, a in arrays.items() if name.startswith("model.")}
    if json.dumps(description).count('"class"') > MOST_OBJECTS:
        raise ValueError(f"the manifest describes more than {MOST_OBJECTS} objects")
    with nn.at_most(arrays.values()):
        model = _build(description, arrays)
    for key, value in vars(model).items():  # NGram's lists, empty until it is fitted
        while isinstance(value, list) and (name := f"model.{key}.{len(value)}") in arrays:
            value.append(arrays[name])
    nn.load_state({"model": model}, arrays)
    return model


def _build(description, arrays: dict[str, ndarray]):
    """The inverse of `_describe`; lists come back as tuples."""
    if isinstance(description, list):
        return tuple(_build(item, arrays) for item in description)
    if not isinstance(description, dict):
        return _plain(description, "an argument")
    if "array" in description:
        return _table(arrays[description["array"]])
    cls, arguments = CLASSES[description["class"]], {}
    for name, argument in description["arguments"].items():
        arguments[name] = _build(argument, arrays)
    if "rng" in inspect.signature(cls).parameters:
        arguments["rng"] = np.random.default_rng(0)  # all that it draws is replaced
    return cls(**arguments)


def _table(array: ndarray) -> ndarray:
    """An array as a constructor argument: never integers, which could be taken for a size."""
    if array.dtype.kind != "f" or not array.ndim:
        raise ValueError(f"an argument is an array of {array.dtype} {array.shape}, not of floats")
    return array


def resume(path: str | Path, model, optimizer=None, ema=None, rng=None) -> int:
    """Put everything back as it was at `save`; returns the step, for `mg.train(..., start=step)`.

    The objects are made as they were at the start; what they hold is replaced.

    Raises:
        CheckpointError: listing every difference between the file and what was given; nothing was
            changed then.
    """
    manifest, arrays = _read(path)
    parts = _given(model=model, optimizer=optimizer, ema=ema, rng=rng)
    with _refusal(path):
        if manifest["format"] == 1 and parts.keys() & {"optimizer", "ema"}:
            raise ValueError("format 1 keeps optimizer and ema in another order: only for `load`")
        described = {name: _describe(part, name) for name, part in parts.items()}
        _refuse_differences(described, manifest["parts"])
        step = _checked_step(manifest, optimizer, rng)
        nn.load_state(parts, arrays)
    if optimizer is not None:  # lr is assigned between two steps, so it was not compared above
        optimizer.lr = manifest["lr"]
    if rng is not None:
        rng.bit_generator.state = manifest["rng"]
    return step


def _checked_step(manifest: dict, optimizer, rng) -> int:
    """The step; an error if it, the learning rate or the generator's state could not be used."""
    if optimizer is not None and not 0 <= manifest["lr"] <= LARGEST_NUMBER:
        raise ValueError(f"the learning rate is {manifest['lr']}")
    if rng is not None:
        type(rng.bit_generator)().state = manifest["rng"]  # raises for what is no state
    return int(manifest["step"])


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
        lines = [f"expected {line}" for line in expected - came]
        lines += [f"the file has {line}" for line in came - expected]
        raise ValueError("\n  ".join(["the file differs", *sorted(lines)]))


def _lines(value, place: str = "") -> set[str]:
    """Nested dictionaries as lines like "model.arguments.steps: 50"."""
    if not isinstance(value, dict):
        return {f"{place}: {value}"}
    lines = set()
    for name, item in value.items():
        lines |= _lines(item, f"{place}.{name}".lstrip("."))
    return lines


def _read(path: str | Path) -> tuple[dict, dict[str, ndarray]]:
    """Manifest and arrays (read-only) of a file that passed every test.

    Sizes are checked before they are used.
    """
    content = Path(path).read_bytes()
    with _refusal(path):
        seal = hashlib.sha256(content[:-SEAL]).hexdigest().encode()
        if seal != content[-SEAL:]:
            raise ValueError("cut short, or changed, or no checkpoint (the seal is wrong)")
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("the zip claims to hold more bytes than the file has")
        files = {entry.filename: archive.read(entry) for entry in entries}
        if len(files) < len(entries):
            raise ValueError("a name occurs twice")
        manifest = json.loads(files.pop("manifest.json"))
        if manifest["format"] not in (1, 2):
            raise ValueError(f"format {manifest['format']}: this version reads 1 and 2")
        arrays = {name.removesuffix(".npy"): _array(name, entry) for name, entry in files.items()}
        _refuse_differences(manifest["arrays"], {name: _digest(a) for name, a in arrays.items()})
    whole = {n: a.astype(np.float32) if a.dtype == np.float16 else a for n, a in arrays.items()}
    return manifest, whole


def _array(name: str, content: bytes) -> ndarray:
    """One .npy entry as a view of its bytes; a shape that does not fit them raises."""
    file = io.BytesIO(content)
    npy.read_magic(file)
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.kind not in "fiub" or fortran or not name.replace(".", "").isidentifier():
        raise ValueError(f"{name} ({dtype} {shape}) is no array of numbers as `save` writes them")
    return np.frombuffer(content[file.tell() :], dtype).reshape(shape)
