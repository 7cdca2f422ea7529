import pytest

import srn
from srn.config import ModelConfig
from srn.cost import count_multiply_accumulates

# As in the authors' graphs; the one-channel models for one plane. (256x256, 1280x720)
KNOWN = {
    "srn": (89_844_744_192, 1_263_441_715_200),
    "official_lstm": (89_431_867_392, 1_257_635_635_200),
    "sr_edrb3": (37_304_795_136, 524_598_681_600),
    "wo_r": (31_755_730_944, 446_564_966_400),
    "ss": (24_194_842_624, 340_239_974_400),
    "sr_flat": (228_527_308_800, 3_213_665_280_000),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_crop_and_a_picture_cost_what_is_known_of_the_network(name):
    model = srn.build_model(name)

    assert count_multiply_accumulates(model, 256, 256) == KNOWN[name][0]
    assert count_multiply_accumulates(model, 720, 1280) == KNOWN[name][1]


def test_a_network_counted_by_hand():
    model = srn.build_model(
        ModelConfig(width=1, res_blocks=0, kernel_size=3, num_scales=1, bottleneck="none")
    )

    # 16 x 16: 6 -> 1 -> (stride 2) 2 -> (stride 2) 4, two deconvolutions of 4x4 from there, 1 -> 3 at last.
    down = 9 * (6 * 256 + 2 * 64 + 2 * 4 * 16)
    up = 16 * (4 * 2 * 16 + 2 * 64)
    assert count_multiply_accumulates(model, 16, 16) == down + up + 9 * 3 * 256


def test_weights_of_their_own_at_each_scale_cost_what_shared_ones_do():
    shared = count_multiply_accumulates(srn.build_model("wo_r"), 64, 64)

    assert count_multiply_accumulates(srn.build_model("sc"), 64, 64) == shared


@pytest.mark.parametrize("kind, taps", [("deconvolution", 16), ("subpixel", 9 * 4)])
def test_learned_upsampling_counts_with_the_positions_it_begins_at(kind, taps):
    small = ModelConfig(width=4, res_blocks=0, kernel_size=3)
    plain = count_multiply_accumulates(srn.build_model(small), 64, 64)

    learned = srn.build_model(small.replace(image_upsampling=kind, state_upsampling=kind))

    # From the coarsest scale and the middle one: images of 3 channels, and the two states of 16.
    images = taps * 3 * 3 * (16 * 16 + 32 * 32)
    states = 2 * taps * 16 * 16 * (4 * 4 + 8 * 8)
    assert count_multiply_accumulates(learned, 64, 64) == plain + images + states


def test_what_is_padded_counts():
    model = srn.build_model(ModelConfig(width=2, res_blocks=0))

    assert count_multiply_accumulates(model, 17, 1) == count_multiply_accumulates(model, 32, 16)
