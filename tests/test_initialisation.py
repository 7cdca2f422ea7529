import numpy as np
import pytest

import srn
from srn.config import ModelConfig
from srn.errors import InputError
from srn.initialisation import start_at_identity
from srn.pyramid import build_pyramid

SMALL = ModelConfig(width=4, res_blocks=2, kernel_size=3)


@pytest.mark.parametrize(
    "changes",
    [{}, {"channels": 1}, {"bottleneck": "none"}, {"share_weights": False}, {"num_scales": 4}],
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


@pytest.mark.parametrize("changes", [{"layout": "flat"}, {"residual": False}, {"width": 2}], ids=str)
def test_where_no_image_can_pass_it_says_so(changes):
    with pytest.raises(InputError, match="Xavier"):
        start_at_identity(srn.build_model(SMALL.replace(**changes)))
