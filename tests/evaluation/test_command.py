"""`evaluate.py`: each flag reaches its argument, each mistake is one line, each end has its code."""

import pytest

import srn
from srn.evaluation.scores import Scores

# flag -> (word, what reaches `srn.evaluate`)
FLAGS = {
    "ckpt": ("--ckpt=a --ckpt=b", ["a", "b"]),
    "results_dir": ("--results_dir=c --results_dir=d", ["c", "d"]),
    "model": ("--model=ss", "ss"),
    "precision": ("--precision=bfloat16", "bfloat16"),
    "tile": ("--tile=512", 512),
    "self_ensemble": ("--self_ensemble", True),
    "truncate": ("--truncate", True),
    "data_dir": ("--data_dir=e", "e"),
    "dataset": ("--dataset=reds", "reds"),
    "split": ("--split=train", "train"),
    "blur_folder": ("--blur_folder=blur_gamma", "blur_gamma"),
    "sharp_folder": ("--sharp_folder=truth", "truth"),
    "sequence": ("--sequence=A --sequence=B", ["A", "B"]),
    "limit": ("--limit=7", 7),
    "crop_border": ("--crop_border=4", 4),
    "luma": ("--luma", True),
    "lpips": ("--lpips", True),
    "workers": ("--workers=3", 3),
    "out_dir": ("--out_dir=f", "f"),
}


def end_with(monkeypatch, scores, images=3):
    """Has `srn.evaluate` return these; -> its arguments, once it is called."""
    seen = {}

    def evaluate(**arguments):
        seen.update(arguments)
        return srn.evaluation.run.Results("pairs", None, images, {"a": scores})

    import srn.evaluation.run

    monkeypatch.setattr(srn, "evaluate", evaluate, raising=False)
    return seen


def test_each_flag_reaches_its_argument(call, evaluate_py, monkeypatch):
    seen = end_with(monkeypatch, Scores())
    words = [word for text, _ in FLAGS.values() for word in text.split()]

    assert call(*words)[0] == 0

    assert seen == {"verbose": True, **{name: value for name, (_, value) in FLAGS.items()}}
    assert {flag.name for flag in evaluate_py._FLAGS} == set(FLAGS)


def test_without_flags_the_arguments_have_their_defaults(call, monkeypatch):
    from inspect import signature

    defaults = {name: parameter.default for name, parameter in signature(srn.evaluate).parameters.items()}
    seen = end_with(monkeypatch, Scores())

    call("--data_dir=e")

    different = {name for name, value in seen.items() if (value or None) != (defaults[name] or None)}
    assert different == {"data_dir", "out_dir", "verbose"}


def test_images_without_a_score_are_a_line_each_and_exit_code_1(call, monkeypatch):
    end_with(monkeypatch, Scores(scores=[None], failures=["0: torn", "1: black"]))

    code, _, lines = call("--data_dir=e", "--ckpt=identity")

    assert code == 1
    assert lines == [
        "evaluate.py: 0: torn",
        "evaluate.py: 1: black",
        "evaluate.py: 2 of 3 images have no score",
    ]


def test_an_interruption_says_how_to_resume(call, monkeypatch):
    end_with(monkeypatch, Scores(scores=[None], interrupted=True))

    code, _, lines = call("--data_dir=e", "--ckpt=identity")

    assert code == 130
    assert lines == ["evaluate.py: interrupted: 1 of 3 images are scored; the same command resumes"]


def test_the_whole_way(call, pairs_dir, tmp_path):
    code, printed, lines = call("--ckpt=identity", f"--data_dir={pairs_dir}", f"--out_dir={tmp_path / 'out'}")

    assert (code, lines) == (0, [])
    assert f"identity on pairs: 4 images; written to {tmp_path / 'out'}" in printed
    assert (tmp_path / "out/results.csv").exists()


@pytest.mark.parametrize(
    "words, part",
    [
        (["--ckpt=identity"], "--data_dir is needed"),
        (["--data_dir=."], "give --ckpt or --results_dir"),
        (["--data_dir=.", "--ckpt=x", "--tile=20"], "--tile"),
        (["--data_dir=.", "--ckpt=x", "--dataset=gopr"], "--dataset"),
        (["--data_dir={pairs}", "--ckpt=nothing"], "nothing: there is no such file"),
        (
            ["--data_dir={pairs}", "--ckpt=a=identity", "--results_dir=a={pairs}"],
            "--ckpt: a is used twice",
        ),
        (["--data_dir={pairs}", "--results_dir=nothing"], "--results_dir=nothing: there is no such folder"),
        (["--data_dir=nothing", "--ckpt=identity"], "nothing: there is no such folder"),
    ],
)
def test_a_wrong_call_is_one_line(call, pairs_dir, tmp_path, words, part):
    words = [word.format(pairs=pairs_dir) for word in words]

    code, _, lines = call(*words, f"--out_dir={tmp_path / 'out'}")

    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("evaluate.py: ") and part in lines[0]
    assert not (tmp_path / "out").exists()


def test_bad_files_are_a_line_each_together(call, pairs_dir, tmp_path):
    (pairs_dir / "blur/0000.png").write_text("no image")
    (pairs_dir / "sharp/0002.png").unlink()

    code, _, lines = call("--ckpt=identity", f"--data_dir={pairs_dir}", f"--out_dir={tmp_path / 'out'}")

    assert (code, len(lines)) == (2, 2)
    assert "0002.png: has no partner" in lines[0] and "0000.png: not an image" in lines[1]
