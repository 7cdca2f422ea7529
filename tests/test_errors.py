import pickle

from srn.errors import InputError, WorkError


def test_a_command_shows_arguments_as_its_flags():
    error = InputError(
        "crop_size=250: not of my_crop_size, data/crop_size.cfg; choose another crop_size", "crop_size"
    )

    assert str(error).startswith("crop_size=250")
    assert (
        error.with_flags()
        == "--crop_size=250: not of my_crop_size, data/crop_size.cfg; choose another --crop_size"
    )


def test_words_that_are_not_given_as_arguments_stay():
    assert (
        WorkError("no model there; name the model", "name").with_flags() == "no model there; --name the model"
    )
    assert WorkError("model.json is gone").with_flags() == "model.json is gone"


def test_a_flag_that_is_one_already_stays():
    assert InputError("--mix is wrong", "mix").with_flags() == "--mix is wrong"


def test_an_error_survives_a_process_border():
    error = pickle.loads(pickle.dumps(InputError("seed=-1", "seed")))

    assert (str(error), error.arguments) == ("seed=-1", ("seed",))
