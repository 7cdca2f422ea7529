import pytest

import srn
from srn.config import ModelConfig
from srn.data.mixture import Part, open_sources, parse_mix
from srn.errors import InputError


def test_parts_of_a_mixture():
    assert parse_mix("gopro:a/b:0.5,photos:c:d:3") == [Part("gopro", "a/b", 0.5), Part("photos", "c:d", 3.0)]


@pytest.mark.parametrize(
    "text, part",
    [
        ("gopro", "KIND:DIR:WEIGHT"),
        ("gopro:folder", "KIND:DIR:WEIGHT"),
        ("gopro:folder:0.5,", "'' is not valid"),
        ("clips:folder:1", "there is no kind 'clips'"),
        ("gopro:folder:much", "the weight 'much'"),
        ("gopro:folder:0", "the weight '0'"),
        ("gopro:folder:inf", "the weight 'inf'"),
    ],
)
def test_a_part_that_is_wrong_is_named(text, part):
    with pytest.raises(InputError) as error:
        parse_mix(text)

    assert part in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_sources_are_opened_and_checked(pairs_dir, tmp_path):
    pairs, photos = open_sources(
        [Part("pairs", str(pairs_dir)), Part("photos", str(pairs_dir / "sharp"))], 32
    )

    assert (len(pairs), len(photos)) == (4, 4)
    with pytest.raises(InputError, match="smaller than the 65x65 needed"):
        open_sources([Part("pairs", str(pairs_dir))], 65)
    with pytest.raises(InputError, match="there is no such folder"):
        open_sources([Part("frames", str(tmp_path / "nothing"))], 32)


def test_a_cache_belongs_to_one_part(pairs_dir, tmp_path):
    two = [Part("pairs", str(pairs_dir)), Part("auto", str(pairs_dir))]

    for parts in (two, [Part("photos", str(pairs_dir))]):
        with pytest.raises(InputError, match="cache of one data set"):
            open_sources(parts, 32, cache_dir=tmp_path)


def test_training_on_a_mixture_is_resumed(pairs_dir, tmp_path):
    config = srn.TrainingConfig(
        model=ModelConfig(width=2, res_blocks=1, kernel_size=3, num_scales=1),
        mix=f"pairs:{pairs_dir}:0.5,photos:{pairs_dir / 'sharp'}:0.5",
        crop_size=16,
        batch_size=4,
    )
    lines = []

    for steps in (1, 2):
        srn.train(config.replace(max_steps=steps), tmp_path / "run", lines.append)

    assert "4 pairs and 4 photos; step 1 to 2" in lines[-1]
