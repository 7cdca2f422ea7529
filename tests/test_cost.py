import pytest

import srn
from srn.config import ModelConfig
from srn.cost import count_multiply_accumulates


def test_the_papers_network_at_1280x720():
    assert count_multiply_accumulates(srn.build_model("srn"), 720, 1280) == 1_263_441_715_200


def test_a_network_counted_by_hand():
    model = srn.build_model(
        ModelConfig(width=1, res_blocks=0, kernel_size=3, num_scales=1, bottleneck="none")
    )

    # 16 x 16: 6 -> 1 -> (stride 2) 2 -> (stride 2) 4, two deconvolutions of 4x4 from there, 1 -> 3 at last.
    down = 9 * (6 * 256 + 2 * 64 + 2 * 4 * 16)
    up = 16 * (4 * 2 * 16 + 2 * 64)
    assert count_multiply_accumulates(model, 16, 16) == down + up + 9 * 3 * 256


@pytest.mark.parametrize("crop", [64, 256])
def test_a_crop_costs_its_share_of_pixels(crop):
    model = srn.build_model("sr_edrb1")
    assert count_multiply_accumulates(model, crop, crop) * 4 == count_multiply_accumulates(
        model, 2 * crop, 2 * crop
    )


@pytest.mark.parametrize("name", ["sc", "sr_flat"])
def test_what_is_not_counted_is_said(name):
    with pytest.raises(ValueError, match="not counted"):
        count_multiply_accumulates(srn.build_model(name), 64, 64)
