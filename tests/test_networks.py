"""Networks: shapes, gradients to every parameter, masks, conditioning, examples kept apart."""

import numpy as np
import pytest

from minigen import gradients, nn, ops
from minigen.networks import MLP, PatchTransformer, PixelAttention, UNet
from minigen.tensor import Tensor


def generator(seed=0):
    return np.random.default_rng(seed)


def shake(net, seed=1, scale=0.1):
    """Random values in every parameter: an output layer that starts at 0 would hide the rest."""
    rng = generator(seed)
    for p in nn.parameters(net).values():
        p.data = p.data + scale * rng.standard_normal(p.shape).astype(p.dtype)
    return net


def denoisers(classes=None):
    return [
        MLP((2,), width=16, layers=2, time_features=8, classes=classes, rng=generator()),
        UNet((1, 8, 8), (8, 16), classes=classes, rng=generator()),
        UNet((3, 16, 8), (8, 8, 16), classes=classes, rng=generator()),
        PatchTransformer(
            (2, 8, 4), 2, layers=1, heads=2, width=16, classes=classes, rng=generator()
        ),
    ]


@pytest.mark.parametrize("place", range(4))
def test_a_denoiser_returns_the_shape_of_x_and_trains_every_parameter(place):
    net = shake(denoisers(classes=3)[place])
    x = generator().standard_normal((5, *net.shape), np.float32)
    out = net(x, np.linspace(0, 1, 5), np.array([0, 1, 2, 3, 0]))  # class 3 stands for "none given"
    assert out.shape == x.shape and out.dtype == np.float32
    ops.sum(ops.mul(out, generator(2).standard_normal(x.shape))).backward()
    unreached = [
        name for name, p in nn.parameters(net).items() if p.grad is None or not np.any(p.grad)
    ]
    assert not unreached


@pytest.mark.parametrize("place", range(4))
def test_examples_of_a_batch_do_not_see_each_other(place):
    net = shake(denoisers()[place])
    x = generator().standard_normal((3, *net.shape), np.float32)
    together = net(x, np.array([0.1, 0.5, 0.9])).data
    alone = net(x[1:2], 0.5).data
    np.testing.assert_allclose(together[1:2], alone, atol=2e-5)


@pytest.mark.parametrize("place", range(4))
def test_time_and_class_change_the_answer_and_no_class_is_a_class_of_its_own(place):
    net = shake(denoisers(classes=3)[place])
    x = generator().standard_normal((2, *net.shape), np.float32)
    answers = [net(x, 0.3).data, net(x, 0.31).data, net(x, 0.3, 0).data, net(x, 0.3, 1).data]
    for i in range(4):
        for j in range(i):
            assert np.abs(answers[i] - answers[j]).max() > 1e-4
    np.testing.assert_array_equal(net(x, 0.3, np.array([3, 3])).data, answers[0])


@pytest.mark.parametrize("place", range(4))
def test_gradients_against_finite_differences(place):
    net = shake(denoisers()[place])
    for _, owner, key, value in list(
        nn._walk(net)
    ):  # float64, so that differences are not mostly rounding
        if isinstance(value, Tensor):
            owner[key] = Tensor(value.data.astype(np.float64))
    x = generator().standard_normal((1, *net.shape))
    gradients.check_gradients(lambda x: net(x, 0.4), x, rng=generator(3), tolerance=1e-6)


def test_the_untrained_unet_answers_zero():
    net = UNet(rng=generator())
    assert not net(generator().standard_normal((2, 1, 8, 8), np.float32), 0.5).data.any()


def test_the_unet_sees_the_whole_image_from_every_pixel():
    net = shake(UNet((1, 16, 16), (8, 16), rng=generator()))
    leaf = Tensor(generator().standard_normal((1, 1, 16, 16)).astype(np.float32))
    net(leaf, 0.5)[0, 0, 0, 0].backward()
    assert np.abs(leaf.grad[0, 0]).min() > 0


def test_pixel_attention_adds_to_what_came():
    layer, x = (
        PixelAttention(8, 2, rng=generator()),
        Tensor(generator().standard_normal((2, 8, 3, 4), np.float32)),
    )
    assert np.abs(layer(x).data - x.data).max() > 1e-3
    layer.attention.out.weight.data = np.zeros((8, 8), np.float32)
    np.testing.assert_array_equal(layer(x).data, x.data)


def test_the_unet_has_the_parameters_that_its_parts_add_up_to():
    def conv(i, o, k):
        return i * o * k * k + o

    def block(i, o, width):
        return (
            2 * i
            + conv(i, o, 3)
            + width * o
            + o
            + 2 * o
            + conv(o, o, 3)
            + (conv(i, o, 1) if i != o else 0)
        )

    a, b, width = 24, 48, 96
    blocks = (
        block(a, a, width)
        + block(a, b, width)
        + block(b, b, width)
        + conv(b, a, 3)
        + block(2 * a, a, width)
    )
    attention = 2 * b + 3 * b * b + b * b
    ends = conv(1, a, 3) + 2 * a + conv(a, 1, 3) + width * width + width
    assert (
        sum(p.size for p in nn.parameters(UNet(rng=generator())).values())
        == blocks + attention + ends
        == 145_225
    )


def test_weights_of_one_network_fit_into_another_of_the_same_arguments():
    one, other = (
        shake(UNet(channels=(8, 16), rng=generator())),
        UNet(channels=(8, 16), rng=generator(9)),
    )
    nn.load_state(other, nn.state(one))
    x = generator().standard_normal((2, 1, 8, 8), np.float32)
    np.testing.assert_array_equal(one(x, 0.2).data, other(x, 0.2).data)


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: UNet((1, 9, 8), rng=generator()), r"multiples of 2, got \(1, 9, 8\)"),
        (lambda: UNet((8, 8), rng=generator()), r"\(C, Y, X\)"),
        (lambda: UNet(channels=(12, 24), rng=generator()), "multiples of 8"),
        (lambda: UNet(channels=(0, 8), rng=generator()), "multiples of 8"),
        (lambda: UNet(channels=(), rng=generator()), "multiples of 8"),
        (lambda: UNet(heads=0, rng=generator()), "0 heads"),
        (lambda: UNet((0, 8, 8), rng=generator()), r"shape: .*\(0, 8, 8\)"),
        (lambda: MLP((), rng=generator()), r"shape: .*got \(\)"),
        (lambda: MLP(2, rng=generator()), "shape: .*got 2"),
        (lambda: MLP((-2, -3), rng=generator()), r"shape: .*\(-2, -3\)"),
        (lambda: MLP((2,), layers=0, rng=generator()), "layers: .*got 0"),
        (lambda: MLP((2,), width=0, rng=generator()), "at least 1"),
        (lambda: MLP((2,), time_features=7, rng=generator()), "time_features.*even.*got 7"),
        (lambda: MLP((2,), time_features=0, rng=generator()), "time_features.*got 0"),
        (lambda: MLP((2,), classes=0, rng=generator()), "classes: .*got 0"),
        (lambda: UNet(channels=(8, 24), heads=5, rng=generator()), "heads"),
        (
            lambda: UNet(rng=generator())(np.zeros((2, 1, 8, 4), np.float32), 0.5),
            r"\(1, 8, 8\).*\(2, 1, 8, 4\)",
        ),
        (
            lambda: MLP((2,), rng=generator())(np.zeros((2, 3), np.float32), 0.5),
            r"\(2,\).*\(2, 3\)",
        ),
        (
            lambda: MLP((2,), rng=generator())(np.zeros((2, 2), np.float32), 0.5, 1),
            "without classes",
        ),
    ],
)
def test_bad_input_is_named(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    "t, label, error, words",
    [
        (None, None, ValueError, "t: expected a time .*got None"),
        (np.nan, None, ValueError, r"t: expected times in \[0, 1\]"),
        (500, None, ValueError, r"t: .*got 500"),  # the step, where the time is asked for
        (-0.1, None, ValueError, r"t: .*got -0.1"),
        (np.zeros(3), None, ValueError, r"t: .*2 examples.*\(3,\)"),
        (np.zeros((2, 1)), None, ValueError, r"t: .*\(2, 1\)"),
        (0.5, 4, IndexError, r"label: expected integers in 0\.\.3, got 4"),
        (0.5, -1, IndexError, "label: .*got -1"),
        (0.5, 1.0, TypeError, "label: expected integers, got float64"),
        (0.5, np.zeros(3, int), ValueError, r"label: .*2 examples, got .*\(3,\)"),
    ],
)
def test_what_a_denoiser_is_told_is_looked_at(place, t, label, error, words):
    net = denoisers(classes=3)[place]
    with pytest.raises(error, match=words):
        net(np.zeros((2, *net.shape), np.float32), t, label)


@pytest.mark.parametrize("net", denoisers()[:3] + denoisers(classes=3)[:3])
def test_a_denoiser_says_what_it_is_in_one_line(net):
    line, size = repr(net), sum(p.size for p in nn.parameters(net).values())
    assert line.startswith(f"{type(net).__name__}(shape=({net.shape[0]}, ".replace("(2, ", "(2,"))
    assert line.endswith(f"), {size:,} parameters") and "\n" not in line
    parts = [p for p in vars(net).values() if type(p).__module__.startswith("minigen.networks")]
    assert parts and all(repr(part).startswith(f"{type(part).__name__}(") for part in parts)
