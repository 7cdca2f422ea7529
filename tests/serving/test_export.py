import functools
import inspect
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

import srn
from srn import weights
from srn.config import ModelConfig
from srn.errors import InputError, WorkError
from srn.serving import export
from srn.serving.contract import MAX_PIXELS
from srn.serving.export import export_savedmodel

SMALL = ModelConfig(width=4, res_blocks=1, kernel_size=3)


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "colour"])
def exported(request, tmp_path_factory):
    """(model, its SavedModel, loaded again)."""
    model = srn.build_model(SMALL.replace(channels=request.param))
    folder = export_savedmodel(model, tmp_path_factory.mktemp("export"))
    return model, tf.saved_model.load(str(folder))


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def encode(image, kind):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 37, 53), (1, 64, 48)])
def test_floats_are_the_model_clipped(exported, shape):
    model, loaded = exported
    images = tf.constant(np.random.default_rng(0).random((*shape, 3), np.float32))

    restored = loaded.signatures["serving_default"](image=images)["restored"]

    np.testing.assert_allclose(restored, np.clip(model.restore(images), 0, 1), atol=1e-5)


def test_encoded_images_of_several_sizes_in_one_request(exported):
    _, loaded = exported
    images = [pixels(20, 30), pixels(33, 17, seed=1)]
    request = tf.constant([encode(image, kind) for image, kind in zip(images, ("PNG", "BMP"))])

    answer = loaded.signatures["encoded"](image_bytes=request)["restored_bytes"]

    for image, encoded in zip(images, answer.numpy()):
        floats = tf.constant(image[None].astype(np.float32) / 255)
        expected = loaded.signatures["serving_default"](image=floats)["restored"][0]
        restored = np.asarray(Image.open(io.BytesIO(encoded)), np.float64)
        np.testing.assert_allclose(restored, np.rint(expected * 255), atol=1)


def test_jpeg_is_taken_too(exported):
    _, loaded = exported

    answer = loaded.signatures["encoded"](image_bytes=tf.constant([encode(pixels(16, 24), "JPEG")]))

    assert Image.open(io.BytesIO(answer["restored_bytes"].numpy()[0])).size == (24, 16)


@pytest.mark.parametrize(
    "image, message",
    [(np.zeros([1, 0, 4, 3], np.float32), "no pixels"), (np.full([1, 4, 4, 3], np.nan, np.float32), "NaN")],
)
def test_bad_floats_are_answered_with_a_message(exported, image, message):
    _, loaded = exported

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded.signatures["serving_default"](image=tf.constant(image))


def test_versions_count_up_and_none_is_overwritten(tmp_path):
    model = srn.build_model(SMALL)

    assert export_savedmodel(model, tmp_path).name == "1"
    assert export_savedmodel(model, tmp_path, version=7).name == "7"
    assert export_savedmodel(model, tmp_path).name == "8"
    with pytest.raises(InputError, match="`version`"):
        export_savedmodel(model, tmp_path, version=7)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["1", "7", "8"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="file: cannot be written"):
        export_savedmodel(srn.build_model(SMALL), tmp_path / "file")


FULL = "{{function_node __wrapped__SaveV2}} /x/variables/part-0.data; No space left on device [Op:SaveV2]"


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, FULL)],
    ids=["file", "TensorFlow"],
)
def test_a_full_disk_is_named_with_its_reason(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(tf.saved_model, "save", fail)

    with pytest.raises(WorkError) as caught:
        export_savedmodel(srn.build_model(SMALL), tmp_path)

    assert str(caught.value) == f"{tmp_path / '1'}: cannot be written (No space left on device)"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_an_export_that_ends_early_leaves_no_version_behind(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(export, "write_warm_up", fail)

    with pytest.raises((WorkError, KeyboardInterrupt)):
        export_savedmodel(srn.build_model(SMALL), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_card_tells_what_is_served(tmp_path):
    model = srn.build_model(SMALL, "bfloat16")

    folder = export_savedmodel(
        model, tmp_path / "street", max_pixels=5000, warm_up_sizes=[], card={"data": "x"}
    )

    card = json.loads((folder / "model_card.json").read_text())
    assert (card["name"], card["data"], card["max_pixels"]) == ("street", "x", 5000)
    assert card["precision"] == "mixed_bfloat16"
    assert card["weights_sha256"] == weights.checksum(model)
    assert card["parameters"] == model.count_params()
    assert ModelConfig.from_dict(card["config"]) == SMALL


def test_files_of_the_server_are_written_once_and_then_left_to_their_owner(tmp_path):
    model = srn.build_model(SMALL)
    export_savedmodel(model, tmp_path / "srn")
    assert 'base_path: "/models/srn"' in (tmp_path / "srn/models.config").read_text()
    (tmp_path / "srn/models.config").write_text('name: "srn" # mine')

    export_savedmodel(model, tmp_path / "srn")

    assert (tmp_path / "srn/models.config").read_text() == 'name: "srn" # mine'
    with pytest.raises(InputError, match="serves no model of the name 'other'"):
        export_savedmodel(model, tmp_path / "srn", name="other")


def test_the_name_of_a_model_is_not_that_of_its_folder_where_it_has_one(tmp_path):
    export_savedmodel(srn.build_model(SMALL), tmp_path / "street", name="srn", warm_up_sizes=[])

    config = (tmp_path / "street/models.config").read_text()
    assert 'name: "srn"' in config and 'base_path: "/models/street"' in config


@pytest.fixture
def exported_with(load_script, monkeypatch):
    """The arguments with which export_savedmodel.py calls `export_checkpoint` for given flags."""
    script, calls = load_script("export_savedmodel.py"), []

    def export_checkpoint(*arguments, **options):
        calls.append(inspect.signature(export.export_checkpoint).bind(*arguments, **options))
        return Path("served/srn/1")

    original = export.export_checkpoint
    monkeypatch.setattr(export, "export_checkpoint", functools.wraps(original)(export_checkpoint))

    def run(*words):
        flags.FLAGS(["export_savedmodel.py", *words])
        assert script.main() == 0
        arguments = calls[-1].arguments
        return {**arguments, **arguments["options"]}

    return run


@pytest.mark.parametrize(
    "flag, field, value",
    [
        ("--ckpt=mine", "ckpt", "mine"),
        ("--export_dir=there", "export_dir", "there"),
        ("--version=7", "version", 7),
        ("--model=sr_edrb2", "model", "sr_edrb2"),
        ("--weights=latest", "prefer_average", False),
        ("--which=best", "ckpt", "srn/best"),
        ("--precision=bfloat16", "precision", "bfloat16"),
        ("--name=street", "name", "street"),
        ("--max_megapixels=0.5", "max_pixels", 500_000),
        ("--warm_up=1280x720,64x48", "warm_up_sizes", [(720, 1280), (48, 64)]),
        ("--card=CARD", "card", {"data": "x"}),
    ],
)
def test_each_flag_reaches_its_argument_and_no_other(exported_with, tmp_path, flag, field, value):
    (tmp_path / "card.json").write_text('{"data": "x"}')
    words = ("--ckpt=srn", "--export_dir=served/srn")
    before = exported_with(*words)

    after = exported_with(*words, flag.replace("CARD", str(tmp_path / "card.json")))

    assert before[field] != value and after[field] == value
    others = set(before) - {field, "options"}
    assert {name: after[name] for name in others} == {name: before[name] for name in others}


def test_the_table_has_every_flag(exported_with):
    own = {flag.name for flag in flags.FLAGS.flags_by_module_dict()["script_export_savedmodel"]}
    (table,) = test_each_flag_reaches_its_argument_and_no_other.pytestmark
    assert {flag.split("=")[0][2:] for flag, *_ in table.args[1]} == own


def test_what_the_command_leaves_out_is_the_librarys(exported_with):
    arguments, options = exported_with("--ckpt=srn", "--export_dir=x"), inspect.signature(export_savedmodel)
    assert arguments["max_pixels"] == options.parameters["max_pixels"].default == MAX_PIXELS
    assert tuple(arguments["warm_up_sizes"]) == options.parameters["warm_up_sizes"].default


def test_from_the_root_of_the_repository_a_released_name_is_no_folder(tmp_path, monkeypatch):
    """`srn/` is there, and holds no weights."""
    monkeypatch.chdir(Path(srn.__file__).parents[1])
    monkeypatch.setattr(weights, "load_model", lambda *_: srn.build_model(SMALL))

    folder = export.export_checkpoint("srn", tmp_path, warm_up_sizes=[])

    card = json.loads((folder / "model_card.json").read_text())
    assert card["ckpt"] == "srn"
    assert {"data", "scores", "licence"} <= set(card)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"version": 0}, "^version=0: "),
        ({"version": 2**63}, "a server reads versions from 1 to"),
        ({"name": "a b"}, "`name`"),
        ({"max_pixels": 99, "warm_up_sizes": [(10, 10)]}, "the 99 pixels"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export_savedmodel(srn.build_model(SMALL), tmp_path / "srn", **options)

    assert not (tmp_path / "srn").exists()


@pytest.mark.parametrize("there, chosen", [("0007", 8), ("9" * 30, 1), ("x3", 1), ("\uff13", 1)])
def test_the_next_version_is_the_one_after_the_highest_that_a_server_reads(tmp_path, there, chosen):
    (tmp_path / there).mkdir()

    folder = export_savedmodel(srn.build_model(SMALL), tmp_path, name="srn", warm_up_sizes=[])

    assert folder.name == str(chosen)


@pytest.mark.parametrize("there, version", [("0007", 7), (str(2**63 - 1), None), (str(2**63 - 1), 2**63 - 1)])
def test_a_version_that_a_server_has_already_is_named(tmp_path, there, version):
    (tmp_path / there).mkdir()

    with pytest.raises(InputError, match=rf"{there}: is "):
        export_savedmodel(srn.build_model(SMALL), tmp_path, version, name="srn")


@pytest.mark.parametrize("how", ["bytes", "folder"])
def test_a_models_config_that_cannot_be_read_is_named(tmp_path, how):
    path = tmp_path / "models.config"
    path.mkdir() if how == "folder" else path.write_bytes(b"\xff\xfe")

    with pytest.raises(InputError, match=r"models\.config: cannot be read"):
        export_savedmodel(srn.build_model(SMALL), tmp_path)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--max_megapixels=nan"], "max_megapixels"),
        (["--export_dir="], "--export_dir is needed"),
        (["--ckpt="], "--ckpt is needed"),
        (["--warm_up=\uff14x5"], "give WIDTHxHEIGHT"),
    ],
)
def test_a_flag_that_makes_no_sense_is_told_before_work_begins(load_script, words, message):
    script = load_script("export_savedmodel.py")
    flags.FLAGS(["export_savedmodel.py", "--ckpt=srn", "--export_dir=x", *words])

    with pytest.raises(InputError, match=message):
        script.main()
