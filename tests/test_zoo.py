import pytest

import srn
from srn.errors import InputError
from srn.zoo import MODELS

# name: (parameters, convolutions, the paper's figure in millions where it has one)
COUNTS = {
    "srn": (8_061_411, 43, None),
    "official_lstm": (8_056_609, 43, None),
    "official_gray": (6_876_449, 42, None),
    "official_color": (6_881_251, 42, None),
    "official_lstm_color": (8_061_411, 43, None),
    "ss": (2_731_619, 43, "2.73"),
    "sc": (8_194_857, 129, "8.19"),
    "wo_r": (2_731_619, 43, "2.73"),
    "rnn": (3_026_659, 44, "3.03"),
    "sr_flat": (2_659_939, 43, "2.66"),
    "sr_rb": (2_659_939, 43, "2.66"),
    "sr_ed": (3_764_195, 43, "3.76"),
    "sr_edrb1": (2_214_115, 19, "2.21"),
    "sr_edrb2": (2_989_155, 31, "2.99"),
    "sr_edrb3": (3_764_195, 43, "3.76"),
    "nah": (11_721_321, 122, None),
}


def test_every_model_is_counted_here():
    assert set(COUNTS) == set(srn.list_models()) == set(MODELS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_convolutions_are_exact(name):
    parameters, convolutions, paper = COUNTS[name]

    model = srn.build_model(name)

    assert model.count_params() == parameters
    assert len(list(model.convolutions())) == convolutions
    assert paper is None or f"{parameters / 1e6:.2f}" == paper


def test_an_unknown_model_or_precision_is_one_line_with_the_choices():
    with pytest.raises(InputError, match="sr_edrb3"):
        srn.build_model("srn2")
    with pytest.raises(InputError, match="float32 or bfloat16"):
        srn.build_model("srn", precision="int8")


def test_only_the_authors_models_resize_at_legacy_coordinates():
    legacy = {name for name, config in MODELS.items() if config.resize_grid == "legacy"}

    assert legacy == {name for name in MODELS if name.startswith("official_")}
