"""The files of tests/golden are what their script makes of the references, where those are."""

import numpy as np
from golden import authors

from srn import images


def read(path):
    """What the file holds: bytes of the same content may differ from one zlib to the next."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    return images.read_rgb(path) if path.suffix == ".png" else path.read_text()


def files_of(folder):
    return {
        path.relative_to(folder) for path in folder.rglob("*") if path.suffix in (".npz", ".png", ".json")
    }


def test_goldens_are_what_their_script_makes(shared, call, tmp_path):
    result = call("tests/golden/make_goldens.py", f"--references={shared}", f"--out={tmp_path}")

    assert result.returncode == 0, result.stderr
    assert files_of(tmp_path) == files_of(authors.FOLDER)
    for name in files_of(tmp_path):
        np.testing.assert_equal(read(tmp_path / name), read(authors.FOLDER / name), str(name))


def test_goldens_stay_small():
    assert sum(path.stat().st_size for path in authors.FOLDER.rglob("*") if path.is_file()) < 1_500_000
