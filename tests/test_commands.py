"""The command line: what it refuses, what it draws, what a Ctrl-C or a closed stream leaves."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigen as mg
from minigen.__main__ import COMMANDS, main
from minigen.compare import head_to_head, sample, terminal, text
from minigen.compare.measure import Result, table


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to be in: nothing is written beside the tests."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv, code=0):
    """The command in this process; its exit code, argparse's included."""
    try:
        assert main(list(map(str, argv))) == code
    except SystemExit as stop:
        assert stop.code == code


# -- settings are looked at before the work --------------------------------------------------------

BAD = [
    (["text", "--context", "1"], "--context"),
    (["text", "--length", "-5"], "--length"),
    (["text", "--heads", "3"], "--heads 3 does not divide --width 128"),
    (["text", "--batch", "0"], "--batch"),
    (["text", "--layers", "0"], "--layers"),
    (["text", "--width", "x"], "--width"),
    (["text", "--seed", "-1"], "--seed"),
    (["text", "--seconds", "nan"], "--seconds"),
    (["text", "--seconds", "inf"], "--seconds"),
    (["text", "--steps", "-1"], "--steps"),
    (["text", "--learning-rate", "0"], "--learning-rate"),
    (["text", "--temperature", "0"], "--temperature"),
    (["text", "--out", "file"], "--out"),
    (["text", "short"], "--context 64: the text is too short"),
    (["text", "missing"], "missing"),
    (["text", "."], "."),
    (["text", "binary"], "binary"),
    (["--seed", "-1"], "--seed"),
    (["--seconds", "0"], "--seconds"),
    (["--text-seconds", "-1"], "--text-seconds"),
    (["--out", "file"], "--out"),
    (["--out", "file/folder"], "--out"),
    (["ddim", "--train-seconds", "0"], "--train-seconds"),
    (["ddim", "--train-steps", "0"], "--train-steps"),
    (["ddim", "--steps", "2000"], "--steps"),
    (["ddim", "--seed", "-1"], "--seed"),
    (["ddim", "--out", "file"], "--out"),
    (["sample", "missing.npz"], "missing.npz"),
    (["sample", "file"], "no checkpoint"),
    (["sample"], "checkpoint"),
    (["digits", "--seconds", "x"], "--seconds"),
    (["nothing"], "nothing"),
]


@pytest.mark.parametrize(("argv", "named"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_what_cannot_work_is_one_line_before_any_work(argv, named, elsewhere, monkeypatch, capsys):
    Path("file").write_text("no folder, no checkpoint")
    Path("short").write_text("only 22 characters now")
    Path("binary").write_bytes(b"\xff\xfe\x00\x80" * 99)

    def worked(*_, **__):
        raise AssertionError("began to work")

    monkeypatch.setattr(mg, "fit", worked)
    monkeypatch.setattr(text.TextRun, "count", worked)
    run(*argv, code=2)
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    usage, error = err.splitlines()
    assert usage.startswith("usage: python -m minigen") and named in error
    assert sorted(path.name for path in elsewhere.iterdir()) == ["binary", "file", "short"]


def test_a_folder_that_cannot_be_written_to_is_refused(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # for root every folder is writable
    run("--out", "locked", code=2)
    assert "not writable" in capsys.readouterr().err


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "digits"])
def test_every_usage_line_says_python_m_minigen(command, capsys):
    run(command, "--help")
    assert capsys.readouterr().out.startswith(f"usage: python -m minigen {command}")


def test_help_has_an_example_of_every_command(capsys):
    run("--help")
    said = capsys.readouterr().out
    for command, (_, _, example) in COMMANDS.items():
        assert example.split()[0] == command and f"python -m minigen {example}" in said


# -- sample: from any saved model ------------------------------------------------------------------


def unet():
    return mg.DDPM(
        mg.networks.UNet((1, 8, 8), (8, 16), 2, 3, rng=rng()), predict="velocity", levels=17
    )


def colour():
    net = mg.networks.UNet((3, 8, 8), (8, 16), 2, rng=rng())
    return mg.DDPM(net, predict="velocity", steps=5)


def points(family):
    return lambda: family(mg.networks.MLP((2,), 8, 2, 8, rng=rng()))


def gpt(context=16):
    return mg.GPT(5, context, 1, 1, 8, rng=rng())


def ngram():
    return mg.NGram(2, 5).fit(rng().integers(0, 5, 200))


def chain():
    return mg.MarkovChain(np.array([[0.9, 0.1], [0.4, 0.6]]))


def linear():
    return mg.LinearAR(2).fit(rng().standard_normal(99))


PIXELS, LETTERS = {"shape": [4, 4]}, {"vocabulary": "abcde"}
DRAWN = {  # model, what stands beside it, options, ending of what is written
    "DDPM, images": (unet, {}, ["--method", "ddim", "--steps", "3", "--gif"], "gif"),
    "DDPM, a class": (unet, {}, ["--label", "2", "--steps", "2", "--guidance-scale", "2"], "png"),
    "DDPM, colour": (colour, {}, [], "png"),
    "DDPM, points": (points(mg.DDPM), {}, ["--steps", "5"], "png"),
    "ScoreSDE": (points(mg.ScoreSDE), {}, ["--steps", "4", "--method", "sde"], "png"),
    "GPT, pixels": (gpt, PIXELS, ["--temperature", "0.5", "--top-k", "2", "--gif"], "gif"),
    "GPT, pixels by option": (gpt, {}, ["--shape", "2", "8"], "png"),
    "GPT, nothing said": (gpt, None, [], "png"),
    "GPT, text": (gpt, LETTERS, ["--prompt", "abba", "--length", "30", "--top-p", "0.9"], "txt"),
    "MADE": (lambda: mg.MADE(16, 3, (8,), rng=rng()), PIXELS, [], "png"),
    "NGram, text": (ngram, LETTERS, ["--prompt", "ab"], "txt"),
    "NGram, nothing said": (ngram, None, ["--length", "9"], "png"),
    "MarkovChain": (chain, None, [], "png"),
    "LinearAR": (linear, None, ["--length", "50"], "png"),
}  # fmt: skip


def saved(folder, build, about):
    model = build()
    mg.save(folder / "model.npz", model)
    if about is not None:
        (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")
    return model


@pytest.mark.parametrize("case", DRAWN)
def test_sample_draws_from_every_model(case, elsewhere, capsys):
    build, about, options, ending = DRAWN[case]
    saved(elsewhere, build, about)
    if ending == "txt":
        run("sample", "model.npz", "-n", "2", *options, "--out", "new/text.txt")
        said = capsys.readouterr().out
        assert said == Path("new/text.txt").read_text(encoding="utf-8")
        prompt = options[options.index("--prompt") + 1]
        length = (
            int(options[options.index("--length") + 1]) if "--length" in options else sample.LENGTH
        )
        texts = said.rstrip("\n").split("\n\n")
        assert [len(line) for line in texts] == [len(prompt) + length] * 2
        assert all(line.startswith(prompt) and set(line) <= set("abcde") for line in texts)
        return
    run("sample", "model.npz", "-n", "6", *options)
    picture = Image.open("model_samples.png")
    assert picture.size[0] >= 300 and np.ptp(np.asarray(picture.convert("L"))) > 100
    assert Path("model_samples.gif").exists() == (ending == "gif")
    if ending == "gif":
        assert 2 <= Image.open("model_samples.gif").n_frames <= 33
    again, options = Path("model_samples.png").read_bytes(), [o for o in options if o != "--gif"]
    run("sample", "model.npz", "-n", "6", *options, "--out", "again.png")
    assert Path("again.png").read_bytes() == again  # the same seed, the same samples
    run("sample", "model.npz", "-n", "6", *options, "--seed", "1", "--out", "other.png")
    assert Path("other.png").read_bytes() != again


def test_what_is_drawn_is_what_the_model_draws(elsewhere, capsys):
    model = saved(elsewhere, gpt, LETTERS)
    run("sample", "model.npz", "--seed", "3", "--length", "20")
    tokens = model.sample(1, rng(3), length=20)[0]
    assert capsys.readouterr().out == "".join("abcde"[token] for token in tokens) + "\n"


REFUSED = [
    (gpt, LETTERS, ["--method", "ddim"], "--method does not apply to this GPT"),
    (gpt, LETTERS, ["--steps", "3"], "--steps does not apply"),
    (gpt, LETTERS, ["--gif"], "--gif does not apply"),
    (gpt, LETTERS, ["--prompt", "xyz"], "--prompt: ['x', 'y', 'z']"),
    (gpt, LETTERS, ["--out", "a.png"], "--out: expected a file name.txt"),
    (gpt, {"vocabulary": "abc"}, [], "3 symbols, the GPT 5"),
    (gpt, {"vocabulary": 5}, [], "model.json: expected"),
    (gpt, [], [], "model.json: expected"),
    (gpt, {"shape": [4, 0]}, [], "model.json: expected"),
    (gpt, {"shape": "44"}, [], "model.json: expected"),
    (unet, {}, ["--shape", "8", "8", "--steps", "2"], "--shape does not apply"),
    (gpt, PIXELS, ["--prompt", "a"], "--prompt does not apply"),
    (gpt, PIXELS, ["--label", "1"], "--label does not apply"),
    (gpt, {}, ["--shape", "3", "3"], "16 tokens"),
    (unet, {}, ["--prompt", "a"], "--prompt does not apply to this DDPM"),
    (unet, {}, ["--temperature", "1"], "--temperature does not apply"),
    (unet, {}, ["--method", "foo"], "method: expected one of"),
    (unet, {}, ["--label", "7", "--steps", "2"], "label"),
    (unet, {}, ["--out", "."], "--out: expected a file name.png"),
    (unet, {}, ["--out", "model.npz/a.png"], "--out"),
    (unet, {}, ["-n", "0"], "-n"),
    (linear, {}, ["--gif"], "--gif does not apply to this LinearAR"),
    (linear, {}, ["--temperature", "2"], "--temperature does not apply"),
]


@pytest.mark.parametrize(
    ("build", "about", "options", "named"), REFUSED, ids=[str(r[2:]) for r in REFUSED]
)
def test_what_does_not_apply_is_refused_by_name(build, about, options, named, elsewhere, capsys):
    saved(elsewhere, build, about)
    run("sample", "model.npz", *options, code=2)
    out, err = capsys.readouterr()
    assert named in err and "Traceback" not in err and out == ""
    assert sorted(p.name for p in elsewhere.iterdir()) == ["model.json", "model.npz"]


# -- text ------------------------------------------------------------------------------------------


SMALL = ["--layers", "1", "--heads", "1", "--width", "8", "--context", "8", "--length", "30"]


def test_text_keeps_what_it_trained_and_sample_writes_with_it(elsewhere, capsys):
    Path("book").write_text("abra cadabra, " * 60, encoding="utf-8")
    run("text", "book", *SMALL, "--steps", "5", "--out", "here")
    said = capsys.readouterr().out
    assert "[" not in said.replace("[a-z]", "")
    record = json.loads(Path("here/results.json").read_text(encoding="utf-8"))
    assert record["training_steps"] == 5 and record["interrupted"] is False
    assert record["setting"]["width"] == 8 and len(record["written"]) == 30
    assert f"{record['bits_per_character']:.3f} bits per character" in said
    model = mg.load("here/gpt.npz")
    book = mg.data.text_file("book")
    bits = mg.evaluate.bits_per_dim(model, book.test).value
    assert bits == pytest.approx(record["bits_per_character"], rel=1e-5)  # the averaged weights
    run("sample", "here/gpt.npz", "--prompt", "cad", "--length", "7")
    assert len(capsys.readouterr().out) == 3 + 7 + 1


def test_who_wins_and_why():
    run = text.TextRun(mg.data.as_text("abcdefgh" * 40), text.Setting(8, 1, 8, 8), rng())
    run.rungs, run.losses, run.bits = [2.0, 1.0, 1.5], [0.0] * 10, 1.25
    assert "loses to counting with 1 characters of context, by 0.250 bits" in run.verdict()
    readings = 10 * run.how.batch * run.how.context / len(run.text.train)
    assert f"read the text {readings:.2g} times" in run.verdict()
    run.bits = 0.75
    assert run.verdict().startswith("The GPT beats every n-gram, the best of them by 0.250")


def test_a_large_alphabet_does_not_fill_the_memory():
    """2,000 symbols, 60,000 characters: counting and training need less than a table of pairs.

    Scoring the test part is the models' own promise, see their rooms.
    """
    letters = [chr(0x4E00 + k) for k in range(2000)]
    book = mg.data.as_text("".join(rng().choice(letters, 60_000)))
    run = text.TextRun(book, text.Setting(1, 1, 8, 8, batch=2, steps=2), rng())
    tracemalloc.start()
    try:
        run.count()
        run.train()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(run.rungs) == 5  # 2000^6 would not fit 63 bits
    assert peak < 30e6, f"{peak / 1e6:.0f} MB"


@pytest.mark.thorough
@pytest.mark.skipif(os.name != "posix", reason="the peak of a process")
def test_350_000_characters_of_4_000_symbols_stay_under_a_gib(elsewhere):
    """Frequencies as 1 / rank. Measured: 160 MiB, 30 seconds."""
    likely = 1 / np.arange(1, 4001)
    letters = [chr(0x4E00 + k) for k in range(4000)]
    book = "".join(rng().choice(letters, 350_000, p=likely / likely.sum()))
    Path("book").write_text(book, encoding="utf-8")
    code = (
        "import resource, sys; from minigen.__main__ import main; main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    argv = [sys.executable, "-c", code, "text", "book", "--steps", "3"]
    job = subprocess.run(argv, env=environment(PYTHONUTF8="1"), capture_output=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(job.stdout.split()[-1]) * unit < 2**30


# -- the table -------------------------------------------------------------------------------------


def test_the_table_of_three_fits_80_columns():
    floor = mg.evaluate.SampleMetrics(0.5, 0.9, 0.9, 0.03, 1.0)
    result = Result(
        "Masked", 1_153_152, 12_345, 155.0, 2.48, 0.019, False, 64, 123.4, 123.4, *floor
    )
    lines = table([result] * 3, floor, 2.431).splitlines()
    assert max(map(len, lines)) <= 80
    assert len({len(line) for line in lines if line.startswith(("recall", "precision"))}) == 1


def test_what_is_said_can_be_typed(elsewhere, monkeypatch):
    python, jupyter = elsewhere / ".venv/bin/python", elsewhere / ".venv/bin/jupyter"
    python.parent.mkdir(parents=True)
    jupyter.touch()
    monkeypatch.setattr(sys, "executable", str(python))
    assert terminal.jupyter() == str(Path(".venv/bin/jupyter"))
    assert terminal.minigen() == str(Path(".venv/bin/python")) + " -m minigen"
    assert terminal.typed(elsewhere / "a b") == '"a b"'
    jupyter.rename(jupyter.with_suffix(".exe"))  # as on Windows
    assert terminal.jupyter() == str(Path(".venv/bin/jupyter"))
    jupyter.with_suffix(".exe").unlink()
    assert terminal.jupyter() == str(Path(".venv/bin/python")) + " -m jupyter"


# -- Ctrl-C ----------------------------------------------------------------------------------------


def interrupt(*_, **__):
    signal.raise_signal(signal.SIGINT)
    raise AssertionError("unreachable: the interrupt came first")


MOMENTS = {  # where the interrupt comes: what there is
    "before training": (mg.data, "digits", []),
    "in the first training": ("GPT", "loss", ["gpt.npz"]),
    "in the last training": ("DDPM", "loss", ["ddpm.npz", "gpt.npz", "masked.npz"]),
    "while measuring": (mg.evaluate, "bits_per_dim", ["ddpm.npz", "gpt.npz", "masked.npz"]),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_in_the_main_job_keeps_what_there_is(moment, elsewhere, monkeypatch, capsys):
    where, name, files = MOMENTS[moment]
    if isinstance(where, str):
        cls = getattr(mg, where)
        whole = cls.loss

        def loss(self, *arguments):
            signal.raise_signal(signal.SIGINT)
            return whole(self, *arguments)

        monkeypatch.setattr(cls, "loss", loss)
    else:
        monkeypatch.setattr(where, name, interrupt)
    run("--seconds", "0.1" if moment == "while measuring" else "0.3", "--out", "here", code=130)
    record = json.loads(Path("here/results.json").read_text(encoding="utf-8"))
    assert record["interrupted"] is True and sorted(record["files"]) == files
    assert sorted(p.name for p in Path("here").glob("*.npz")) == files
    assert all(mg.load(Path("here", name)) for name in files)
    if moment == "in the first training":
        assert record["training_seconds"]["gpt"] < 60 and len(record["losses"]["gpt"]) == 1
    assert "Interrupted" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_text_command_keeps_the_gpt(elsewhere, monkeypatch):
    Path("book").write_text("abra cadabra, " * 60, encoding="utf-8")
    monkeypatch.setattr(
        mg.evaluate, "bits_per_dim", lambda *_: mg.evaluate.Bits(1.0, None, True, False)
    )
    monkeypatch.setattr(mg.GPT, "sample", interrupt)
    run("text", "book", *SMALL, "--steps", "3", "--out", "here", code=130)
    record = json.loads(Path("here/results.json").read_text(encoding="utf-8"))
    assert record["interrupted"] is True and record["training_steps"] == 3
    assert mg.load("here/gpt.npz").width == 8


def test_an_error_leaves_what_there_is_and_is_not_called_finished(elsewhere, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr(head_to_head, "measure", fail)
    with pytest.raises(RuntimeError, match="no luck"):
        main(["--seconds", "0.1", "--out", "here"])
    assert json.loads(Path("here/results.json").read_text(encoding="utf-8"))["interrupted"] is True
    assert mg.load("here/gpt.npz").context == 64


COMMAND = [sys.executable, "-m", "minigen"]


def environment(**more):
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1", **more}


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
def test_a_real_ctrl_c_ends_the_process_with_130(elsewhere):
    argv = [*COMMAND, "--seconds", "100", "--out", "here"]
    with subprocess.Popen(
        argv, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as job:
        assert b"of training" in job.stdout.readline() and b"learns" in job.stdout.readline()
        job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=60)
    assert job.returncode == 130 and b"Traceback" not in err and b"Interrupted" in out
    assert json.loads(Path("here/results.json").read_text(encoding="utf-8"))["interrupted"] is True


@pytest.mark.thorough
@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
@pytest.mark.parametrize("delay", range(20))
def test_a_real_ctrl_c_at_any_moment(delay, elsewhere):
    argv = [*COMMAND, "--seconds", "1", "--text-seconds", "1", "--out", "here"]
    with subprocess.Popen(
        argv, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as job:
        job.stdout.readline()
        time.sleep(delay * 0.7)
        job.send_signal(signal.SIGINT)
        _, err = job.communicate()
    record = json.loads(Path("here/results.json").read_text(encoding="utf-8"))
    assert (job.returncode, record["interrupted"]) in [(130, True), (0, False)]
    assert b"Traceback" not in err and all(Path("here", name).exists() for name in record["files"])


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_stream_that_lacks_a_character_shows_another(encoding, elsewhere):
    Path("книга.txt").write_text("Съешь ещё этих мягких французских булок. " * 30, encoding="utf-8")
    argv = [*COMMAND, "text", "книга.txt", *SMALL, "--steps", "2", "--out", "here"]
    job = subprocess.run(argv, env=environment(PYTHONIOENCODING=encoding), capture_output=True)
    assert job.returncode == 0, job.stderr
    assert ("книга" in job.stdout.decode(encoding)) == (encoding == "utf-8")
    assert mg.load("here/gpt.npz")
    written = json.loads(Path("here/results.json").read_text(encoding="utf-8"))["written"]
    assert set(written) <= set("Съешь ещё этих мягких французских булок. ")


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe")
def test_a_reader_that_leaves_early_does_not_cost_the_work(elsewhere):
    Path("book").write_text("abra cadabra, " * 60, encoding="utf-8")
    argv = [*COMMAND, "text", "book", *SMALL, "--steps", "2", "--out", "here"]
    with subprocess.Popen(
        argv, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as job:
        job.stdout.close()  # before the first line
        err = job.stderr.read()
    assert job.returncode == 0 and b"Error" not in err, err
    assert mg.load("here/gpt.npz")
    checkpoint = ["sample", "here/gpt.npz", "-n", "2000"]  # more than a pipe holds
    shell = " ".join([f'"{COMMAND[0]}"', *COMMAND[1:], *checkpoint, "| head -1"])
    job = subprocess.run(shell, shell=True, env=environment(), capture_output=True)
    assert len(job.stdout.splitlines()) == 1 and b"Error" not in job.stderr


def test_a_patient_stream_raises_what_is_no_closed_pipe(tmp_path):
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        print("x", file=terminal.Patient(Full()))
