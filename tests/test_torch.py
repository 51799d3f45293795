"""Values and gradients of every op against PyTorch, where it is installed."""

import numpy as np
import pytest
from op_cases import CASES

import minigen as mg
from minigen import ops
from minigen.kernels import portions, winograd

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.torch], ids=lambda case: case.label
)
def test_value_and_gradients(case, dtype):
    ours = [mg.Tensor(a.astype(dtype)) for a in case.arrays]
    theirs = [torch.tensor(a.astype(dtype), requires_grad=True) for a in case.arrays]
    value, reference = case.function(ops, *ours), case.torch(torch, *theirs)
    cotangent = np.random.default_rng(0).standard_normal(value.shape).astype(dtype)
    (value * cotangent).sum().backward()
    (reference * torch.from_numpy(cotangent)).sum().backward()
    tolerance = (
        {"rtol": 1e-4, "atol": 2e-5} if dtype is np.float32 else {"rtol": 1e-9, "atol": 1e-10}
    )
    assert value.shape == tuple(reference.shape)
    np.testing.assert_allclose(value.data, reference.detach().numpy(), **tolerance)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), **tolerance)


@pytest.mark.parametrize(
    "case", [case for case in CASES if "conv2d" in case.op and case.torch], ids=lambda c: c.label
)
def test_convolution_by_winograds_way(case, monkeypatch):
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    monkeypatch.setattr(portions, "NUMBERS_AT_ONCE", 50)  # one image at a time
    test_value_and_gradients(case, np.float32)
    test_value_and_gradients(case, np.float64)


def test_every_op_is_compared():
    assert {case.op for case in CASES} == {case.op for case in CASES if case.torch}
