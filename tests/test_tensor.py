"""The contract of the engine, point by point.

Dtypes, aliasing, accumulation, freeing, depth, cycles, steadiness.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import op_cases
import pytest

import minigen as mg
from minigen import ops, tensor
from minigen.gradients import check_gradients
from minigen.kernels import memory, threads
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


READ_ONLY_VIEWS = {
    "diagonal": np.diagonal,
    "broadcast": lambda a: np.broadcast_to(a, (2, 3, 3)),
    "flagged view": lambda a: tensor.read_only(a[:]),
    "view of a view": lambda a: np.diagonal(a)[1:],
    "strided": lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), a.strides, writeable=False),
    "window": lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, axis=0),
    "memory": lambda a: np.frombuffer(memoryview(a).toreadonly(), a.dtype),
}


@pytest.mark.parametrize("view", READ_ONLY_VIEWS.values(), ids=READ_ONLY_VIEWS)
def test_read_only_does_not_mean_owned_by_nobody(view):
    array = np.ones((3, 3))
    constant = view(array)
    assert not constant.flags.writeable
    x = mg.Tensor(np.ones(constant.shape))
    loss = (x * constant).sum()
    assigned = mg.Tensor(np.zeros(constant.shape))
    assigned.data = constant
    with mg.no_grad():
        value = ops.reshape(constant, constant.shape)
    array[:] = 9
    loss.backward()
    assert (x.grad == 1).all() and (assigned.data == 1).all() and (value.data == 1).all()


def test_what_nobody_can_write_to_is_not_copied():
    frozen = tensor.read_only(np.ones(3))
    kept = []

    @op
    def keeping(x, y):
        kept.append(y)
        return x * y, lambda g: g * y

    keeping(mg.Tensor(np.ones(3)), frozen)
    keeping(mg.Tensor(np.ones(2)), frozen[1:])
    assert np.shares_memory(kept[0], frozen) and np.shares_memory(kept[1], frozen)
    with mg.no_grad():  # nor what a caller may write to, where no rule keeps it
        keeping(mg.Tensor(np.ones(3)), lent := np.ones(3))
    assert kept[2] is lent and lent.flags.writeable


@pytest.mark.parametrize("index", [[0, 0], (np.array([0, 0]),), np.array([0, 0])])
def test_indices_given_by_name_are_copied_too(index):
    x = vector(1, 2)
    loss = ops.getitem(x, index=index).sum()
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
    # Its dtype equals float32 and is another object:
    x = pickle.loads(pickle.dumps(np.ones(2, F32)))
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


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((2, 2), (2, 4)),
        ((2, 2), (4,)),
        ((2, 2), (2,)),
        ((2, 2), (1, 2)),
        ((3,), (2, 2)),
        ((1, 2), (3, 3)),
        ((), None),
        ((2,), ()),
    ],
)
@pytest.mark.parametrize("joint", [False, True])
def test_a_gradient_of_the_wrong_shape_is_refused_by_name(shape, given, joint):
    def wrong(x):
        d = None if given is None else np.ones(given)
        return x * 1.0, lambda g: (d,) if joint else d

    x, y = mg.Tensor(np.ones(shape)), vector(1)
    loss = ((joint_op if joint else op)(wrong)(x) * y).sum()
    with pytest.raises(ValueError, match="rule of 'wrong' gives a gradient of shape") as caught:
        loss.backward()
    assert str(shape) in str(caught.value) and (given is None or str(given) in str(caught.value))
    assert x.grad is None and y.grad is None


@pytest.mark.parametrize("given", [(2, 3), (4, 2, 3), (1, 4, 2, 3)])
def test_gradients_of_broadcast_arguments_are_summed(given):
    @op
    def spread(x):
        return x * np.ones(given), lambda g: g

    x = mg.Tensor(np.ones((2, 1)))
    spread(x).sum().backward()
    assert x.grad.tolist() == [[np.prod(given) / 2]] * 2


def test_a_rule_may_give_a_plain_number():
    @op
    def one(x):
        return x * 1.0, lambda g: 1.0

    x = mg.Tensor(2.0)
    one(x).backward()
    assert x.grad == 1 and type(x.grad) is np.ndarray and x.grad.dtype == F32


def test_an_op_called_leaf_is_no_leaf():
    @op
    def leaf(x):
        return x * 3.0, lambda g: g * 3.0

    x = vector(1)
    leaf(x).sum().backward()
    assert x.grad.tolist() == [3]
    with pytest.raises(ValueError, match="only a leaf"):
        leaf(x).grad = np.ones(1)


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


def test_no_grad_holds_for_one_thread():
    """Two threads within no_grad, left in another order than entered; a third one trains."""
    x, both = vector(1, 2), threading.Barrier(3)
    leave = {"first": threading.Event(), "second": threading.Event()}
    seen = {}

    def silent(name):
        with mg.no_grad():
            both.wait()
            leave[name].wait()
            seen[name, "inside"] = (x * 2.0).requires_grad
        seen[name, "after"] = (x * 2.0).requires_grad

    threads = {name: threading.Thread(target=silent, args=(name,)) for name in leave}
    for thread in threads.values():
        thread.start()
    both.wait()
    recorded = [(x * 2.0).requires_grad]
    for name in leave:
        leave[name].set()
        threads[name].join()
        recorded.append((x * 2.0).requires_grad)
    assert recorded == [True] * 3
    assert seen == {(n, w): w == "after" for n in leave for w in ("inside", "after")}


def test_no_grad_holds_for_one_context():
    def inside():
        return (vector(1) * 2.0).requires_grad

    with mg.no_grad():
        silent = contextvars.copy_context()
        assert not contextvars.copy_context().run(inside) and contextvars.Context().run(inside)
    assert inside() and not silent.run(inside)

    async def task(block, wait):
        with block:
            await asyncio.sleep(wait)
            return inside()

    async def both():
        return await asyncio.gather(
            task(mg.no_grad(), 0.02), task(contextlib.nullcontext(), 0.01), task(mg.no_grad(), 0)
        )

    assert asyncio.run(both()) == [False, True, False]


def test_no_grad_blocks_may_end_in_any_order():
    def silent():
        with mg.no_grad():
            yield

    def is_recording():
        return (vector(1) * 2.0).requires_grad

    first, second = silent(), silent()
    next(first), next(second)
    first.close()
    assert not is_recording()
    second.close()
    assert is_recording()
    third = silent()
    contextvars.copy_context().run(next, third)
    third.close()  # here, where it was not begun
    with mg.no_grad():
        assert not is_recording()
    assert is_recording()


def test_training_in_threads_equals_one_after_the_other():
    """While two more threads go in and out of no_grad."""
    stop = threading.Event()

    def flicker():
        while not stop.is_set():
            with mg.no_grad():
                vector(1) * 2.0

    noise = [threading.Thread(target=flicker) for _ in range(2)]
    for thread in noise:
        thread.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(train, 10) for _ in range(2)]
            together = [run.result()[0] for run in runs]
    finally:
        stop.set()
        for thread in noise:
            thread.join()
    alone, _ = train(10)
    assert together == [alone, alone]


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


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda x, one: ops.clip(x, one, 2.0), "clip: .* low"),
        (lambda x, one: ops.pow(x, one), "pow: .* exponent"),
        (lambda x, one: ops.layer_norm(x, 4, eps=one), "layer_norm: .* eps"),
        (lambda x, one: ops.layer_norm(x, 4, None, None, one), "layer_norm: .* eps"),
        (lambda x, one: ops.group_norm(x, 2, eps=one), "group_norm: .* eps"),
        (lambda x, one: ops.pad(x, ((0, 1), (0, 0)), one), "pad: .* value"),
        (lambda x, one: ops.attention(x.reshape(1, 2, 12), 2, x[:2, :2]), "attention: .* mask"),
    ],
)
def test_a_tensor_where_there_is_no_gradient_is_refused_in_the_call(call, argument):
    x = mg.Tensor(np.ones((6, 4), F32))
    with pytest.raises((TypeError, ValueError), match=argument):
        call(x, mg.Tensor(1.0))


def test_tensors_in_a_list_would_lose_their_gradients():
    for call in (
        lambda t: mg.Tensor([t, t]),
        lambda t: ops.mul(vector(1, 2), [t, t]),
        lambda t: ops.getitem(vector(1, 2), (t,)),
    ):
        with pytest.raises(TypeError, match="lose their gradients"):
            call(mg.Tensor(1.0))


def test_two_kinds_of_floats_meet_in_every_op():
    """The wider one is the graph's from there on; each gradient has the dtype of its tensor."""
    rng = np.random.default_rng(0)
    for case in op_cases.CASES:
        if len(case.arrays) < 2:
            continue
        for narrow in range(len(case.arrays)):
            leaves = [
                mg.Tensor(a.astype(F32) if place == narrow else a)
                for place, a in enumerate(case.arrays)
            ]
            value = case.function(ops, *leaves)
            assert value.dtype == np.float64, case.label
            (value * rng.standard_normal(value.shape)).sum().backward()
            assert all(leaf.grad.dtype == leaf.dtype for leaf in leaves), case.label


def test_a_joint_rule_gives_all_gradients():
    @joint_op
    def product(x, factor, y):
        def vjp(g):
            return factor * g * y, None, factor * g * x

        return factor * x * y, vjp, None, vjp

    def doubled(x, y):
        return product(x, 2.0, y)

    check_gradients(doubled, np.array([1.0, 2.0]), np.array(3.0), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="product: a Tensor came for factor"):
        product(vector(1), vector(2), vector(3))


def test_wrong_shapes_name_the_op_and_both_shapes():
    with pytest.raises(ValueError, match=r"mul: .*\(2,\).*\(3,\)"):
        vector(1, 2) * vector(1, 2, 3)


def test_repr_and_small_things():
    x = vector(1, 2)
    assert repr(x) == "Tensor([1., 2.])" and "from=mul" in repr(x * 2.0)
    assert len(x) == 2 and x.ndim == 1 and x.size == 2 and x.sum().item() == 3.0


# -- what learners type every day ------------------------------------------------------------------


def test_a_tensor_as_an_array():
    x = mg.Tensor(np.ones((300, 300)))
    value = np.asarray(x)  # at once: element by element it took two seconds
    assert value is x.data and value.dtype == np.float64
    copy = np.array(x)
    copy[:] = 7
    assert x.data.max() == 1 and np.asarray(x, F32).dtype == F32
    assert np.asarray(x * 2.0).tolist() == x.numpy().__mul__(2).tolist()
    np.testing.assert_array_equal(x, np.ones((300, 300)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (np.exp, "Tensor"),
        (np.maximum.reduce, "Tensor"),
        (np.sum, r"np\.sum would lose .* minigen\.ops .* \.data"),
        (lambda x: np.stack([x, x]), r"np\.stack would lose"),
        (lambda x: np.concatenate([x, x.data]), r"np\.concatenate would lose"),
        (lambda x: np.where(x > 1, x, 0), r"np\.where would lose"),
    ],
)
def test_numpy_does_not_lose_a_gradient_silently(call, words):
    with pytest.raises(TypeError, match=words):
        call(vector(1, 2))


def test_the_truth_of_a_tensor_is_that_of_its_one_element():
    assert not mg.Tensor([0.0]) and mg.Tensor(2.0) and not mg.Tensor(np.zeros((1, 1)))
    assert float(mg.Tensor([0.5])) == 0.5 and int(mg.Tensor(2.75)) == 2
    assert f"{mg.Tensor(0.1234):.2f}" == "0.12" and f"{vector(1)}" == "Tensor([1.])"
    for several in (vector(1, 2), mg.Tensor(np.zeros(0))):
        for function in (bool, float, int, mg.Tensor.item, "{:.2f}".format):
            with pytest.raises(ValueError, match=r"one element") as caught:
                function(several)
            assert str(several.shape) in str(caught.value)


def test_comparisons_give_arrays_of_booleans():
    x = vector(1, 2, 3)
    for other in (2, 2.0, np.float64(2), np.full(3, 2.0), vector(2, 2, 2), vector(2)):
        results = [x == other, x != other, x < other, x <= other, x > other, x >= other]
        assert [r.tolist() for r in results] == [
            [False, True, False],
            [True, False, True],
            [True, False, False],
            [True, True, False],
            [False, False, True],
            [False, True, True],
        ]
        assert all(type(r) is np.ndarray and r.dtype == bool for r in results)
        assert (other < x).tolist() == [False, False, True]
    assert len({x: 1, vector(1, 2, 3): 2}) == 2  # still a key of its own
    assert x in [x] and {x: "found"}[x] == "found"


def test_methods_are_the_ops():
    x = mg.Tensor(np.array([[0.5, 2.0, 1.0], [3.0, 0.25, 0.75]]))
    for name in "exp log sqrt abs tanh sigmoid relu sum mean max".split():
        value, expected = getattr(x, name)(), getattr(ops, name)(x)
        assert np.array_equal(value.data, expected.data) and value.node.name == name
    assert x.max(axis=1).data.tolist() == [2, 3] and abs(x - 1).data.tolist()[0] == [0.5, 1, 0]
    assert x.T.shape == (3, 2) and x.T.node.name == "transpose"
    for transposed in (x.transpose(), x.transpose(1, 0), x.transpose((1, 0)), x.transpose([-1, 0])):
        assert np.array_equal(transposed.data, x.data.T)
    assert x.reshape((3, 2)).shape == x.reshape(3, 2).shape == (3, 2)
    assert x[0].transpose(0).shape == (3,)
    assert (x.pow(2).data == (x**2).data).all()
    rows = list(x)
    assert len(rows) == 2 and rows[1].data.tolist() == [3, 0.25, 0.75]
    (rows[0] * rows[1]).sum().backward()
    assert x.grad.tolist() == x.data[::-1].tolist()
    with pytest.raises(TypeError):
        iter(mg.Tensor(1.0))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("softmax", "minigen.ops.softmax"),
        ("silu", "minigen.ops.silu"),
        ("view", "minigen.ops.reshape"),
        ("permute", "minigen.ops.transpose"),
        ("clamp", "minigen.ops.clip"),
        ("detach", "requires_grad=False"),
    ],
)
def test_a_method_that_is_missing_names_the_op(name, hint):
    with pytest.raises(AttributeError, match=hint):
        getattr(vector(1), name)


def test_a_typing_error_is_an_attribute_error():
    for name in ("sofmax", "_spread", "math", "inspect"):
        with pytest.raises(AttributeError, match=f"^a Tensor has no '{name}'$"):
            getattr(vector(1), name)
    assert not hasattr(vector(1), "colour")


def test_numbers_in_the_byte_order_of_another_machine():
    for kind in (">f4", "<f4"):
        x = mg.Tensor(np.array([1, 2], kind))
        assert x.dtype == F32 and x.dtype.isnative
        (x * x).sum().backward()
        assert x.grad.tolist() == [2, 4]
    assert ops.exp(np.zeros(2, ">f4")).data.tolist() == [1, 1]


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
    assert memory.keep_freed_memory() is False
    monkeypatch.delenv("MINIGEN_KEEP_MEMORY")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False


THREADS_NOW = """
import ctypes, pathlib
import numpy, minigen
package = pathlib.Path(numpy.__file__).parent
for place in (package.with_name("numpy.libs"), package / ".dylibs"):
    for file in place.glob("*openblas*"):
        print(ctypes.CDLL(str(file)).scipy_openblas_get_num_threads64_())
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, [threads.THREADS]),
        ({"OPENBLAS_NUM_THREADS": "2"}, [2]),
        ({"OMP_NUM_THREADS": "2"}, [2]),
        ({"MINIGEN_LIMIT_THREADS": "0"}, [os.cpu_count()]),
    ],
    ids=str,
)
def test_how_many_threads_a_product_uses(said, expected):
    """A process of its own, with NumPy's wheel: what the user says goes first."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("OpenBLAS takes no more threads than there are cores")
    silent = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", THREADS_NOW],
        env=silent | {"PYTHONPATH": str(Path(__file__).parents[1])} | said,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if not done.stdout:
        pytest.skip("this NumPy has no OpenBLAS of its own")
    assert [int(n) for n in done.stdout.split()] == expected


def test_another_library_than_openblas_is_left_alone(monkeypatch, tmp_path):
    for name in threads.SAID_BY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads.np, "__file__", str(tmp_path / "numpy" / "__init__.py"))
    assert threads.limit_threads() is False


def test_import_is_quick():
    """About 0.1 s beyond NumPy's own import (said), and nothing large comes with it (demanded).

    Ten times as much, of processor time and in the best of five tries, fails.
    """
    script = "import numpy, sys, time; t = time.process_time(); import minigen; "
    script += "print(time.process_time() - t); "
    script += "assert not {'matplotlib', 'tqdm.notebook', 'IPython'} & set(sys.modules)"
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
    print(f"import minigen: {min(seconds):.3f} s beyond NumPy")
    assert min(seconds) < 1.5
