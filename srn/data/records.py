"""Pairs in TFRecord files: writing, and unpacking for reading.

A record is a `tf.train.Example` with the features

    blurry, sharp   the two images as encoded files (PNG or JPEG), byte for byte
    name            unique in the data set, such as GOPR0384_11_00/000001

TFRecord files only allow sequential access, but training reads pairs in random order. Records are therefore
unpacked once into UNPACKED beside them, as files of the layout `pairs`, and read from there.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from srn.data.listing import UNPACKED, Pair
from srn.errors import InputError, first_line
from srn.files import write_atomically

SUFFIX = ".tfrecord"
_SPLITS = ("train", "test")
PAIRS_IN_A_FILE = 128
_NOTE = "records.json"  # in the unpacked folder: fingerprints of its sources; written last
_KINDS = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg"}  # magic bytes -> suffix


def write_records(pairs: Sequence[Pair], out_dir: str | os.PathLike[str], split: str = "train") -> list[Path]:
    """Writes pairs as `SPLIT-00000.tfrecord`, ..., PAIRS_IN_A_FILE in each.

    Args:
      pairs: of a data set.
      out_dir: the folder, created if needed. Existing files of these names are replaced atomically.
      split: "train" or "test".

    Returns:
      The files.
    """
    import tensorflow as tf  # imported here, since listing other layouts does not need it

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for number, start in enumerate(range(0, len(pairs), PAIRS_IN_A_FILE)):
        path = out_dir / f"{split}-{number:05d}{SUFFIX}"
        temporary = out_dir / f".partial-{uuid.uuid4().hex}"
        try:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for pair in pairs[start : start + PAIRS_IN_A_FILE]:
                    writer.write(_encode(pair))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        written.append(path)
    return written


def find_records(data_dir: Path, split: str) -> list[Path]:
    """The record files of a split: those named after it, or all if none is named after a split."""
    files = sorted(Path(data_dir).glob(f"*{SUFFIX}"))
    if any(file.name.startswith(_SPLITS) for file in files):
        return [file for file in files if file.name.startswith(split)]
    return files


def unnamed_records(data_dir: Path) -> list[Path]:
    """Record files without the name of a split, if others have one."""
    files = sorted(Path(data_dir).glob(f"*{SUFFIX}"))
    others = [file for file in files if not file.name.startswith(_SPLITS)]
    return others if len(others) < len(files) else []


def unpack(files: list[Path], split: str) -> Path:
    """Unpacks records into `UNPACKED/SPLIT/{blur,sharp}/NAME` beside them, unless this was done before.

    Returns the folder that holds `blur` and `sharp`; slashes in names become "__".

    Raises `InputError` naming a file that is truncated, damaged, or has other features, or a folder that
    cannot be written.
    """
    target = files[0].parent / UNPACKED / split

    def write_all() -> None:
        for file in files:
            _unpack_file(file, target)

    unpack_once(target, files, write_all)
    return target


def unpack_once(target: Path, files: Sequence[Path], write_all: Callable[[], None]) -> None:
    """Calls `write_all`, which fills the folder `target`, unless this was done before from the same `files`.

    Raises `InputError` naming a folder that cannot be written.
    """
    note = target / _NOTE
    facts = {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    if note.exists() and json.loads(note.read_text()) == facts:
        return
    try:
        shutil.rmtree(target, ignore_errors=True)
        write_all()
        write_atomically(note, json.dumps(facts).encode())
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from error


def _unpack_file(file: Path, target: Path) -> None:
    import tensorflow as tf

    features = {key: tf.io.FixedLenFeature([], tf.string) for key in ("blurry", "sharp", "name")}
    try:
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            images = {
                key: value.numpy() for key, value in tf.io.parse_single_example(record, features).items()
            }
            name = images["name"].decode().replace("/", "__")
            for key, folder in (("blurry", "blur"), ("sharp", "sharp")):
                write_image(target / folder / f"{name}{suffix_of(images[key], file)}", images[key])
    except tf.errors.OpError as error:
        raise InputError(f"{file}: damaged, or not records of pairs ({first_line(error)})") from error


def suffix_of(encoded: bytes, source: Path) -> str:
    """The suffix of an encoded image. Raises `InputError` naming `source` if it is not a PNG or JPEG."""
    for beginning, suffix in _KINDS.items():
        if encoded.startswith(beginning):
            return suffix
    raise InputError(f"{source}: holds an image that is neither PNG nor JPEG")


def write_image(path: Path, encoded: bytes) -> None:
    """Writes an encoded image. Raises `InputError` for a name outside of its folder."""
    if path.name.startswith(".") or "\\" in path.name:
        raise InputError(f"{path.name!r} is not a valid name of an image")
    write_atomically(path, encoded)


def _encode(pair: Pair) -> bytes:
    import tensorflow as tf

    values = {
        "blurry": pair.blurry.read_bytes(),
        "sharp": pair.sharp.read_bytes(),
        "name": pair.name.encode(),
    }
    features = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
