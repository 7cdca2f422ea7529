import pytest

from srn.config import ModelConfig
from srn.zoo import MODELS


def test_the_default_is_the_network_of_the_paper():
    config = ModelConfig()

    assert (config.channels, config.num_scales, config.kernel_size, config.res_blocks) == (3, 3, 5, 3)
    assert (config.bottleneck, config.image_upsampling) == ("convlstm", "bilinear")
    assert config.kappa == (1.0, 1.0, 1.0)
    assert config.cell_stddev is None
    assert config.size_multiple == 16


@pytest.mark.parametrize(
    "changes, allowed",
    [
        ({"channels": 2}, "1 or 3"),
        ({"channels": 3.0}, "1 to 3"),
        ({"num_scales": "3"}, "1 to 4"),
        ({"num_scales": 2.5}, "1 to 4"),
        ({"residual": "no"}, "True or False"),
        ({"kappa": 1.0}, "3 weights"),
        ({"cell_stddev": float("inf")}, "positive"),
        ({"cell_stddev": "small"}, "positive"),
        ({"num_scales": 5}, "1 to 4"),
        ({"num_scales": True}, "1 to 4"),
        ({"kernel_size": 4}, "odd"),
        ({"res_blocks": -1}, "0 to"),
        ({"bottleneck": "lstm"}, "convlstm, convrnn, convgru, convolution, none"),
        ({"image_upsampling": "nearest"}, "bilinear, deconvolution, subpixel"),
        ({"resize_grid": "corners"}, "half_pixel, legacy"),
        ({"layout": "unet"}, "encoder_decoder, flat, multi_scale"),
        ({"kappa": (1, 1)}, "3 weights"),
        ({"kappa": (0, 0, 0)}, "not all 0"),
        ({"kappa": (1, -1, 1)}, "at least 0"),
        ({"cell_stddev": 0.0}, "positive"),
        ({"bottleneck": "none", "cell_stddev": 0.001}, "None where bottleneck='none'"),
        ({"bottleneck": "convolution", "state_upsampling": "subpixel"}, "'bilinear' where bottleneck"),
        ({"num_scales": 1, "image_upsampling": "deconvolution"}, "num_scales=1"),
        ({"num_scales": 1, "share_weights": False}, "num_scales=1"),
        ({"layout": "multi_scale", "bottleneck": "convlstm"}, "'none' where layout='multi_scale'"),
    ],
)
def test_what_cannot_be_built_says_what_is_allowed(changes, allowed):
    with pytest.raises(ValueError, match=f"^{list(changes)[-1]}=.* cannot be built; allowed: ") as error:
        ModelConfig(**changes)

    assert allowed in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", MODELS)
def test_a_config_survives_a_round_trip_through_plain_values(name):
    assert ModelConfig.from_dict(MODELS[name].to_dict()) == MODELS[name]


def test_an_unknown_field_is_named():
    with pytest.raises(ValueError, match="no field depth"):
        ModelConfig.from_dict({"depth": 3})


def test_replace_gives_every_scale_its_weight():
    assert ModelConfig(kappa=(1, 2, 3)).replace(num_scales=2).kappa == (1.0, 1.0)
    assert ModelConfig(kappa=(1, 2, 3)).replace(channels=1).kappa == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    "scales, layout, multiple", [(1, "encoder_decoder", 4), (4, "encoder_decoder", 32), (3, "flat", 4)]
)
def test_sizes_are_multiples_of_every_halving(scales, layout, multiple):
    assert ModelConfig(num_scales=scales, layout=layout).size_multiple == multiple


def test_what_matters_in_training_alone_does_not_make_another_network():
    config = ModelConfig()

    assert config.is_same_network(config.replace(kappa=(1, 0, 2), cell_stddev=0.001))
    assert not config.is_same_network(config.replace(resize_grid="legacy"))
