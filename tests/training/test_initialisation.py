import numpy as np
import pytest

import srn
from srn.config import ModelConfig
from srn.errors import InputError
from srn.pyramid import build_pyramid
from srn.training.initialisation import grow, start_at_identity

SMALL = ModelConfig(width=4, res_blocks=2, kernel_size=3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": 1},
        {"bottleneck": "none"},
        {"share_weights": False},
        {"num_scales": 4},
        {"residual": False},
        {"layout": "flat", "bottleneck": "none"},
        {"layout": "flat", "bottleneck": "convolution", "residual": False},
    ],
    ids=str,
)
def test_every_scale_gives_its_blurry_image_back(changes):
    config = SMALL.replace(**changes)
    model = srn.build_model(config)
    image = np.random.default_rng(0).random((2, 37, 50, config.channels), np.float32)

    start_at_identity(model)

    for output, blurry in zip(model(image), build_pyramid(image, config.num_scales)):
        np.testing.assert_allclose(output, blurry, atol=1e-6)


def test_all_other_features_keep_their_start_values():
    model = srn.build_model(SMALL)
    kernel = model.scale_networks[0].in_block.convolution.kernel
    before = kernel.numpy()

    start_at_identity(model)

    np.testing.assert_array_equal(kernel[..., 3:], before[..., 3:])


@pytest.mark.parametrize("changes", [{"layout": "flat"}, {"width": 2}], ids=str)
def test_where_no_image_can_pass_it_says_so(changes):
    with pytest.raises(InputError, match="Xavier"):
        start_at_identity(srn.build_model(SMALL.replace(**changes)))


@pytest.mark.parametrize("changes", [{}, {"share_weights": False}, {"bottleneck": "none"}], ids=str)
def test_a_grown_network_computes_what_the_smaller_one_does(changes):
    small = srn.build_model(SMALL.replace(res_blocks=1, **changes))
    for variable in small.trainable_variables:
        variable.assign_add(np.full(variable.shape, 0.01, np.float32))
    large = srn.build_model(SMALL.replace(res_blocks=3, kernel_size=5, **changes))
    image = np.random.default_rng(0).random((2, 37, 50, 3), np.float32)

    grow(large, small)

    for output, expected in zip(large(image), small(image)):
        np.testing.assert_allclose(output, expected, atol=1e-5)


def test_new_res_blocks_of_a_grown_network_can_learn():
    large = srn.build_model(SMALL)

    grow(large, srn.build_model(SMALL.replace(res_blocks=1)))

    convolutions = dict(large.convolutions())
    assert np.abs(convolutions["enc1_3/conv1"].kernel).min() > 0
    assert np.abs(convolutions["enc1_3/conv2"].kernel).max() == 0


@pytest.mark.parametrize(
    "changes", [{"width": 8}, {"kernel_size": 5}, {"res_blocks": 3}, {"bottleneck": "convgru"}], ids=str
)
def test_no_other_network_can_be_grown(changes):
    with pytest.raises(InputError, match="cannot be grown"):
        grow(srn.build_model(SMALL), srn.build_model(SMALL.replace(**changes)))
