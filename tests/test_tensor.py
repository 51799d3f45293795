"""The contract of the engine, point by point: dtypes, aliasing, accumulation, freeing, depth, cycles, steadiness."""

import gc
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

import minigen as mg
from minigen import ops, tensor
from minigen.gradients import check_gradients, dependency_matrix
from minigen.tensor import joint_op, op

F32 = np.float32


def vector(*values):
    return mg.Tensor(np.array(values, F32))


# -- what a Tensor holds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [1, True, [1, 2], np.arange(3), np.array([True]), 1j, "text", np.array([None])]
)
def test_only_floats(data):
    with pytest.raises(TypeError, match=f"Tensor: data has dtype {np.asarray(data).dtype}"):
        mg.Tensor(data)


def test_dtypes_of_new_tensors():
    assert mg.Tensor(0.5).dtype == F32 and mg.Tensor([0.5, 1.0]).dtype == F32
    assert (
        mg.Tensor(np.zeros(2)).dtype == np.float64 and mg.Tensor(np.float64(1)).dtype == np.float64
    )
    assert mg.Tensor(np.zeros(2, F32)).dtype == F32
    assert mg.Tensor(vector(1.0)).dtype == F32


@pytest.mark.parametrize(
    "constant",
    [2.0, 2, np.float64(2), np.int64(2), np.full(3, 2.0), np.array(2.0), np.full(1, 2.0)],
)
def test_constants_never_widen(constant):
    for function in (ops.add, ops.sub, ops.mul, ops.div, ops.maximum):
        for value in (function(vector(1, 2, 3), constant), function(constant, vector(1, 2, 3))):
            assert value.dtype == F32
    assert ops.where(np.array([True, False, True]), vector(1, 2, 3), np.float64(0)).dtype == F32
    assert ops.linear(np.zeros((2, 3)), mg.Tensor(np.zeros((4, 3), F32))).dtype == F32


def test_gradients_have_the_dtype_of_their_tensor():
    x, y = vector(1, 2), mg.Tensor(np.array([3.0, 4.0]))  # float32 times float64
    value = x * y
    assert value.dtype == np.float64
    value.sum().backward()
    assert x.grad.dtype == F32 and y.grad.dtype == np.float64
    assert x.grad.tolist() == [3, 4] and y.grad.tolist() == [1, 2]


def test_integers_do_not_become_tensors():
    with pytest.raises(TypeError, match="abs: gives int64"):
        ops.abs(np.array([1, 2]))


def test_ndarray_on_the_left():
    x = vector(1, 2)
    for value in (
        np.array([3.0, 4.0]) * x,
        np.array([3.0, 4.0]) + x,
        np.array([3.0, 4.0]) - x,
        np.float64(3) / x,
    ):
        assert type(value) is mg.Tensor and value.dtype == F32
    assert type(np.ones((1, 2)) @ mg.Tensor(np.ones((2, 1)))) is mg.Tensor
    assert (np.array([3.0, 4.0]) - x).data.tolist() == [2, 2]


# -- nothing corrupts a saved value ----------------------------------------------------------------


def test_a_tensor_is_a_copy():
    array = np.ones(3)
    x = mg.Tensor(array)
    array[:] = 7
    assert x.data.tolist() == [1, 1, 1]
    copy = x.numpy()
    copy[:] = 7
    assert x.data.tolist() == [1, 1, 1]


def test_writing_in_place_raises():
    x = vector(1, 2, 3)
    for value in (x, x * 2.0, x[:2], x.reshape(3, 1), x.sum(), ops.relu(x)):
        with pytest.raises(ValueError, match="read-only"):
            value.data[...] = 0
    with pytest.raises(TypeError):
        x[0] = 1.0


@pytest.mark.parametrize("by_name", [False, True])
def test_a_constant_changed_between_forward_and_backward(by_name):
    x, constant = vector(1, 2), np.array([3.0, 4.0], F32)
    loss = (ops.mul(x, y=constant) if by_name else x * constant).sum()
    constant[:] = 100
    loss.backward()
    assert x.grad.tolist() == [3, 4]


def test_indices_changed_between_forward_and_backward():
    for index in (np.array([0, 0]), (np.array([0, 0]),), [0, 0]):
        x = vector(1, 2)
        loss = x[index].sum()
        (index[0] if type(index) is tuple else index)[:] = [1, 1]
        loss.backward()
        assert x.grad.tolist() == [2, 0]


def test_an_op_cannot_write_to_what_it_is_given():
    @op
    def doubled(x):
        x *= 2
        return x, lambda g: 2 * g

    x = vector(1, 2)
    for argument in (x, x + 1, np.ones(2, F32)):
        with pytest.raises(ValueError, match="read-only"):
            doubled(argument)
    assert x.data.tolist() == [1, 2]


def test_a_tensor_survives_pickling_and_numpy_scalars_by_name_do_not_widen():
    x = pickle.loads(
        pickle.dumps(np.ones(2, F32))
    )  # its dtype equals float32 and is another object
    assert (mg.Tensor(x) * 2.0).sum().item() == 4
    assert ops.clip(vector(1, 2), low=np.float64(0), high=np.float64(1)).dtype == F32


def test_values_without_history_do_not_alias_the_callers_array():
    array = np.ones((2, 3), F32)
    with mg.no_grad():
        values = [
            ops.reshape(array, (3, 2)),
            ops.transpose(array),
            ops.getitem(array, 0),
            ops.sum(array, axis=()),
        ]
    array[:] = 7
    assert array.flags.writeable and all((value.data == 1).all() for value in values)


def test_an_optimiser_step_between_forward_and_backward():
    x = vector(1, 2)
    loss = (x * x).sum()
    x.data = np.array([50, 60], F32)
    loss.backward()
    assert x.grad.tolist() == [2, 4]  # of the old values
    optimizer = mg.SGD({"x": x}, lr=1.0)
    loss = (x * x).sum()
    optimizer.step()
    x.grad = None
    loss.backward()
    assert x.grad.tolist() == [100, 120]


def test_assigned_data_is_checked_and_copied():
    x, array = vector(1, 2), np.array([3, 4], F32)
    x.data = array
    array[:] = 9
    assert x.data.tolist() == [3, 4]
    for wrong in (np.zeros(3, F32), np.zeros(2), [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"Tensor.data: expected an array of float32 \(2,\)"):
            x.data = wrong


def test_gradients_are_never_shared():
    x, y, z = vector(1, 2), vector(3, 4), mg.Tensor(np.zeros((1, 2), F32))
    (x + y + z.reshape(2)).sum().backward()
    x.grad *= 100
    y.grad += 1
    assert (
        x.grad.tolist() == [100, 100] and y.grad.tolist() == [2, 2] and z.grad.tolist() == [[1, 1]]
    )
    assert not np.shares_memory(x.grad, z.grad)


def test_assigned_gradients_are_checked_and_copied():
    x, array = vector(1, 2), np.array([3.0, 4.0])
    x.grad = array
    array[:] = 9
    assert x.grad.tolist() == [3, 4] and x.grad.dtype == F32
    with pytest.raises(ValueError, match="expected shape"):
        x.grad = np.zeros(3)
    with pytest.raises(ValueError, match="only a leaf"):
        (x * 2.0).grad = array


# -- backward --------------------------------------------------------------------------------------


def test_gradients_add_up():
    x = vector(1, 2)
    for _ in range(2):
        (x * x + x).sum().backward()  # x is used three times
    assert x.grad.tolist() == [6, 10]


def test_a_diamond_is_walked_once():
    """Every node waits for all that use it: 2^50 paths, 50 steps."""
    x = mg.Tensor(1.0)
    y = x
    for _ in range(50):
        y = y + y
    y.backward()
    assert x.grad == 2.0**50


def test_the_gradient_of_data_is_not_computed():
    calls = []

    @op
    def watched(x, y):
        return x * y, lambda g: calls.append("x") or g * y, lambda g: calls.append("y") or g * x

    watched(vector(1), np.ones(1, F32)).sum().backward()
    watched(np.ones(1, F32), vector(1)).sum().backward()
    watched(vector(1), mg.Tensor([1.0], requires_grad=False)).sum().backward()
    assert calls == ["x", "y", "x"]


def test_backward_twice_names_the_op():
    x = vector(1, 2)
    h = ops.exp(x)
    loss = h.sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="'sum'"):
        loss.backward()
    with pytest.raises(RuntimeError, match="'exp'"):
        (h * 2.0).sum().backward()
    assert x.grad.tolist() == np.exp(x.data).tolist()  # and nothing was added


def test_backward_of_a_leaf():
    x = mg.Tensor(3.0)
    x.backward()
    x.backward()
    assert x.grad == 2


def test_backward_starts_from_a_scalar():
    with pytest.raises(ValueError, match=r"scalar.*\(2,\)"):
        (vector(1, 2) * 2.0).backward()
    (vector(1) * 2.0).backward()  # one element is enough


def test_no_gradients_of_gradients():
    with pytest.raises(ValueError, match="gradients of gradients"):
        vector(1).sum().backward(create_graph=True)


def test_an_error_on_the_way_leaves_gradients_untouched():
    @op
    def broken(x):
        def vjp(g):
            raise FloatingPointError("broken")

        return x * 1, vjp

    x, y = vector(1), vector(2)
    x.grad = y.grad = np.array([5.0])
    with pytest.raises(FloatingPointError):
        (broken(x) * y).sum().backward()
    assert x.grad.tolist() == [5] and y.grad.tolist() == [5]


def test_no_grad():
    x = vector(1, 2)
    with mg.no_grad():
        y = x * 2.0
        with pytest.raises(RuntimeError, match="no history"):
            y.sum().backward()
        with mg.no_grad():
            pass
        assert not (x * 2.0).requires_grad
    assert not y.requires_grad and (x * 2.0).requires_grad
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert (x * 2.0).requires_grad  # an error inside does not leave it switched off


def test_constants_have_no_history():
    with pytest.raises(RuntimeError, match="no history"):
        ops.sum(np.ones(2)).backward()
    constant = mg.Tensor(np.ones(2), requires_grad=False)
    assert constant.requires_grad is False and constant.grad is None


# -- ops -------------------------------------------------------------------------------------------


def test_tensors_may_be_given_by_name():
    x, w, b = (
        mg.Tensor(np.ones((2, 3), F32)),
        mg.Tensor(np.ones((4, 3), F32)),
        mg.Tensor(np.ones(4, F32)),
    )
    ops.linear(x, weight=w, bias=b).sum().backward()
    assert w.grad.tolist() == np.full((4, 3), 2).tolist() and b.grad.tolist() == [2] * 4


def test_a_tensor_where_there_is_no_gradient():
    with pytest.raises(TypeError, match=r"clip: .*without gradient"):
        ops.clip(vector(1), vector(0), 1.0)


def test_a_joint_rule_gives_all_gradients():
    @joint_op("x", "y")
    def product(x, y):
        return x * y, lambda g: (g * y, g * x)

    check_gradients(product, np.array([1.0, 2.0]), np.array(3.0), rng=np.random.default_rng(0))


def test_wrong_shapes_name_the_op_and_both_shapes():
    with pytest.raises(ValueError, match=r"mul: .*\(2,\).*\(3,\)"):
        vector(1, 2) * vector(1, 2, 3)


def test_repr_and_small_things():
    x = vector(1, 2)
    assert repr(x) == "Tensor([1., 2.])" and "from=mul" in repr(x * 2.0)
    assert len(x) == 2 and x.ndim == 1 and x.size == 2 and x.sum().item() == 3.0


# -- deep, free of cycles, steady ------------------------------------------------------------------


def long_chain(x, length=100_000):
    for _ in range(length):
        x = x * 1.0
    return x


def test_a_graph_of_100_000_ops():
    x = vector(1, 2)
    long_chain(x).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_graph_of_100_000_ops_can_be_dropped():
    script = "import numpy as np, minigen as mg\nx = y = mg.Tensor(np.ones(2))\n"
    script += "for _ in range(100_000):\n    y = y * 1.0\ndel y\nprint('dropped')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.strip() == "dropped", done.stderr


def small_model(rng):
    conv = mg.nn.Conv2d(1, 4, 3, padding=1, rng=rng)
    norm, attention = mg.nn.GroupNorm(2, 4), mg.nn.Attention(4, 2, rng=rng)
    layers = [conv, norm, attention, mg.nn.LayerNorm(4), mg.nn.Linear(4, 3, rng=rng)]

    def loss(x, y):
        h = ops.avg_pool2d(ops.silu(norm(conv(x))), 2)
        h = h.reshape(len(x), 4, 4).transpose(0, 2, 1)
        h = ops.gelu(layers[3](h + attention(h)))
        return ops.cross_entropy(layers[4](h[:, 0]), y)

    return layers, loss


def train(steps, each=lambda step: None):
    rng = np.random.default_rng(0)
    layers, loss = small_model(rng)
    optimizer = mg.Adam(mg.nn.parameters(layers), 1e-2)
    losses = []
    for step in range(steps):
        value = loss(rng.standard_normal((16, 1, 4, 4)).astype(F32), rng.integers(0, 3, 16))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        each(step)
    return losses, mg.nn.state(layers)


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_no_reference_cycles(without_collector):
    _, loss = small_model(np.random.default_rng(0))
    x, y = np.zeros((2, 1, 4, 4), F32), np.zeros(2, np.int64)
    gc.collect()
    value = loss(x, y)
    node, array = value.node, weakref.ref(value)
    value.backward()
    assert node.parents is None and node.rules is None
    del value, node
    assert array() is None
    loss(x, y)  # dropped without backward
    assert gc.collect() == 0


def test_memory_is_steady(without_collector):
    """Step 1,000 needs no more memory than step 10, with the garbage collector off."""
    resource = pytest.importorskip("resource", reason="peak memory is read with POSIX's getrusage")
    peaks = {}

    def note(step):
        peaks[step] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    train(1000, note)
    assert peaks[999] <= 1.05 * peaks[9]


def test_two_runs_are_identical():
    (losses, weights), (again, same) = train(20), train(20)
    assert losses == again and all(np.array_equal(weights[name], same[name]) for name in weights)
    assert losses[-1] != losses[0]


# -- the process -----------------------------------------------------------------------------------


def test_freed_memory_can_be_left_to_the_system(monkeypatch):
    monkeypatch.setenv("MINIGEN_KEEP_MEMORY", "0")
    assert tensor.keep_freed_memory() is False
    monkeypatch.delenv("MINIGEN_KEEP_MEMORY")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert tensor.keep_freed_memory() is False


def test_import_is_quick():
    """Less than 0.15 s beyond NumPy's own import; processor time, the best of five tries."""
    script = "import numpy, time; t = time.process_time(); import minigen; print(time.process_time() - t)"
    script += "; import sys; assert 'matplotlib' not in sys.modules"
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    seconds = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        seconds.append(float(done.stdout))
    assert min(seconds) < 0.15


# -- gradients.py ----------------------------------------------------------------------------------


def test_check_gradients_finds_a_wrong_rule_and_names_the_place():
    @op
    def wrong(x, y):
        return x * y, lambda g: g * y, lambda g: g * x * 1.001

    with pytest.raises(AssertionError, match=r"argument 1, element \(0,\)"):
        check_gradients(wrong, np.array([1.0]), np.array([2.0]), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="float32"):
        check_gradients(ops.exp, np.zeros(2, F32), rng=np.random.default_rng(0))
    with pytest.raises(AssertionError, match="no gradient arrived at argument 1"):
        check_gradients(lambda x, y: x * 1.0, np.ones(1), np.ones(1), rng=np.random.default_rng(0))


def test_dependency_matrix():
    matrix = dependency_matrix(lambda x: x[1:] * x[:2], np.array([2.0, 3.0, 5.0]))
    assert matrix.tolist() == [[3, 2, 0], [0, 5, 3]]
    assert dependency_matrix(lambda x: x[:1] * 0.0, np.ones(2)).tolist() == [[0, 0]]
