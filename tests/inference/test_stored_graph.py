import numpy as np
import pytest

import srn
from srn.inference import stored_graph


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "srn-deblurnet"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_stored_graph_gives_the_same_pixels_to_the_last_bit(cache, precision, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3)).astype(np.uint8)
    first = srn.Deblurrer("sr_edrb1", precision=precision, keep_graph=True)
    (file,) = cache.iterdir()

    def forbidden(*_):
        raise AssertionError("the model was built")

    monkeypatch.setattr("srn.weights.build_model", forbidden)
    second = srn.Deblurrer("sr_edrb1", precision=precision, keep_graph=True)

    assert file.name.startswith(f"sr_edrb1-{precision}-")
    np.testing.assert_array_equal(second(image), first(image))
    assert second.config == first.config and second.compute_dtype == first.compute_dtype == precision


def test_a_damaged_graph_is_made_anew(cache):
    srn.Deblurrer("sr_edrb1", keep_graph=True)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])

    assert stored_graph.load("sr_edrb1", "float32") is None
    srn.Deblurrer("sr_edrb1", keep_graph=True)
    assert stored_graph.load("sr_edrb1", "float32") is not None


def test_nothing_is_kept_unless_asked_nor_of_other_weights(cache, tmp_path):
    srn.Deblurrer("sr_edrb1")
    srn.weights.save_npz(srn.build_model(srn.ModelConfig(width=4, res_blocks=1)), tmp_path / "own.npz")
    srn.Deblurrer(str(tmp_path / "own.npz"), keep_graph=True)

    assert not cache.exists()


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    srn.Deblurrer("sr_edrb1", keep_graph=True)


def test_the_whole_of_tensorflow_comes_with_its_first_use(cache, command):
    srn.Deblurrer("sr_edrb1", keep_graph=True)
    code = """if True:
        import sys, threading
        import numpy as np
        import srn
        image = np.random.default_rng(0).random((20, 30, 3), np.float32)
        restore = srn.Deblurrer("sr_edrb1", keep_graph=True)
        restored = restore(image)
        print("keras" in sys.modules, "tensorflow._api" in sys.modules)
        import tensorflow as tf
        versions = []
        threads = [threading.Thread(target=lambda: versions.append(tf.__version__)) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(versions), tf.executing_eagerly(), hasattr(tf, "nothing_of_this_name"))
        expected = srn.Deblurrer("sr_edrb1")(image)
        print(np.array_equal(restored, expected), np.array_equal(restore(image), expected))
    """

    result = command("-c", code)

    assert result.stdout.splitlines() == ["False False", "4 True False", "True True"], result.stderr
