import numpy as np
import pytest
import tensorflow as tf

from srn.data import records
from srn.data.pairs import find_pairs, layout_of
from srn.errors import InputError


@pytest.fixture
def written(gopro_dir, tmp_path):
    """(pairs of both splits, folder of their records)."""
    pairs = {split: find_pairs(gopro_dir, split=split) for split in ("train", "test")}
    for split, members in pairs.items():
        records.write_records(members, tmp_path / "records", split)
    return pairs, tmp_path / "records"


@pytest.mark.parametrize("split", ["train", "test"])
def test_files_come_back_byte_for_byte(written, split):
    pairs, folder = written

    found = find_pairs(folder, split=split)

    assert layout_of(found) == "tfrecord"
    assert [pair.name for pair in found] == [pair.name.replace("/", "__") for pair in pairs[split]]
    for pair, original in zip(found, pairs[split]):
        assert pair.blurry.read_bytes() == original.blurry.read_bytes()
        assert pair.sharp.read_bytes() == original.sharp.read_bytes()


def test_records_are_unpacked_once_and_again_when_they_change(written):
    pairs, folder = written
    first = find_pairs(folder)[0].blurry
    times = [first.stat().st_mtime_ns]

    times.append(find_pairs(folder)[0].blurry.stat().st_mtime_ns)
    records.write_records(pairs["train"][:2], folder)

    assert times[0] == times[1]
    assert len(find_pairs(folder)) == 2
    assert first.stat().st_mtime_ns > times[0]


def test_large_sets_are_split_over_files(gopro_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "PAIRS_IN_A_FILE", 3)

    files = records.write_records(find_pairs(gopro_dir), tmp_path)

    assert [file.name for file in files] == ["train-00000.tfrecord", "train-00001.tfrecord"]
    assert len(find_pairs(tmp_path)) == 4


def test_files_that_are_not_named_after_a_split_serve_both(written):
    _, folder = written
    for file in folder.glob("*.tfrecord"):
        file.rename(folder / f"part-{file.name}")

    assert len(find_pairs(folder, split="test")) == 6


def test_records_cut_short_or_of_other_things_are_named(written):
    _, folder = written
    file = folder / "train-00000.tfrecord"
    content = file.read_bytes()

    file.write_bytes(content[:-10])
    with pytest.raises(InputError, match=r"train-00000\.tfrecord: damaged, or not records of pairs"):
        find_pairs(folder)
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(tf.train.Example().SerializeToString())
    with pytest.raises(InputError, match=r"train-00000\.tfrecord: damaged, or not records of pairs"):
        find_pairs(folder)
    feature = lambda value: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))  # noqa: E731
    features = {"blurry": feature(b"GIF89a"), "sharp": feature(b"GIF89a"), "name": feature(b"a")}
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    with pytest.raises(InputError, match="neither PNG nor JPEG"):
        find_pairs(folder)


def test_the_commands_write_and_read_them(gopro_dir, tmp_path, call):
    for split in ("train", "test"):
        words = (f"--data_dir={gopro_dir}", f"--record_dir={tmp_path / 'records'}", f"--split={split}")
        result = call("data/prepare.py", *words)
        assert result.returncode == 0, result.stderr

    scores = [
        call("evaluate.py", "--ckpt=identity", f"--data_dir={folder}", f"--out_dir={tmp_path / 'scores'}")
        for folder in (gopro_dir, tmp_path / "records")
    ]

    means = [
        next(line.split()[3:] for line in score.stdout.splitlines() if line.startswith("mean"))
        for score in scores
    ]
    assert means[0] == means[1] and np.isfinite(float(means[0][1]))
