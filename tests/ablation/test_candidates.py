import pytest

from srn.ablation import candidates
from srn.ablation.candidates import find
from srn.config import BOTTLENECKS, MAX_SCALES, UPSAMPLINGS
from srn.errors import InputError
from srn.training.config import TrainingConfig
from srn.training.losses import LOSSES
from srn.zoo import MODELS


def test_table_1_has_its_ten_models_with_the_papers_scores():
    table = find("table1")

    assert [candidate.name for candidate in table] == [
        *("ss", "sc", "wo_r", "rnn", "sr_flat", "sr_rb", "sr_ed", "sr_edrb1", "sr_edrb2", "sr_edrb3")
    ]
    assert all(candidate.config == MODELS[candidate.name] for candidate in table)
    first, last = table[0].paper, table[-1].paper
    assert (first.psnr, first.ssim, last.psnr, last.ssim) == (28.40, 0.9045, 29.98, 0.9254)


def test_each_list_changes_one_thing():
    assert {candidate.config.bottleneck for candidate in find("cells")} == set(BOTTLENECKS)
    assert [candidate.config.num_scales for candidate in find("scales")] == [*range(1, MAX_SCALES + 1)]
    assert [candidate.config.state_upsampling for candidate in find("upsampling")] == [*UPSAMPLINGS]
    assert {candidate.config for candidate in find("losses")} == {MODELS["sr_edrb3"]}
    assert {candidate.changes["loss"] for candidate in find("losses")} == set(LOSSES)


def test_a_model_that_is_in_several_lists_is_trained_once():
    names = [candidate.name for candidate in find("scales,cells,upsampling,rnn")]

    assert names == [
        *("scales_1", "scales_2", "sr_edrb3", "scales_4"),
        *("rnn", "cell_convgru", "wo_r", "cell_none", "up_deconvolution", "up_subpixel"),
    ]


@pytest.mark.parametrize("name", candidates.list_names())
def test_every_member_can_be_trained(name):
    for candidate in find(name):
        config = TrainingConfig(model=candidate.config, data_dir="there", **candidate.changes)
        assert config.model_config == candidate.config


def test_lists_and_models_are_taken_together_and_each_once():
    names = [candidate.name for candidate in find("nah, table2,srn,loss_mse_tv")]

    assert names == ["nah", "srn", "loss_mse_tv"]


@pytest.mark.parametrize(
    "names, said", [("table3", "models=table3"), ("", "at least one"), (",", "at least")]
)
def test_what_is_not_known_is_one_line_with_the_choices(names, said):
    with pytest.raises(InputError, match=said) as error:
        find(names)

    assert len(str(error.value).splitlines()) == 1
