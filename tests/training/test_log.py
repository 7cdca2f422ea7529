import csv

import pytest

from srn.training.log import COLUMNS, Log, read_log


def steps(folder):
    return [int(row["step"]) for row in read_log(folder / "log.csv")]


def test_rows_with_their_columns_below_the_versions(tmp_path):
    log = Log(tmp_path, 0)
    log.write(20, {"loss": 0.25, "learning_rate": 1e-4, "unknown": 1.0})
    log.write(40, {"loss": 0.125, "validation_psnr": 30.5})

    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].startswith("# srn 0.") and "tensorflow 2." in lines[0]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["step"], rows[0]["loss"], rows[0]["validation_psnr"]) == ("20", "0.25", "")
    assert (rows[1]["validation_psnr"], rows[1]["learning_rate"]) == ("30.5", "")


def test_a_run_that_is_resumed_drops_what_came_after_and_adds_up_its_seconds(tmp_path):
    log = Log(tmp_path, 0)
    for step in (1, 2, 3):
        log.write(step, {"loss": 1.0})
    text = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(text.replace(",,0.0,", ",,5.0,") + "4,0.5,1")  # killed while writing

    log = Log(tmp_path, 2)
    log.write(3, {"loss": 2.0})

    rows = read_log(tmp_path / "log.csv")
    assert [(row["step"], row["loss"]) for row in rows] == [("1", "1"), ("2", "1"), ("3", "2")]
    assert float(rows[2]["seconds"]) >= 5.0


def test_a_log_that_is_no_text_is_begun_anew(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"\xff\x00step,loss\n1,\xfe\n")

    Log(tmp_path, 5).write(6, {"loss": 1.0})

    assert steps(tmp_path) == [6]


def as_spreadsheet(text):
    return "\ufeff" + text.replace(",", ";").replace("\n", "\r\n")


def with_a_column(text):
    heading, *lines = text.splitlines()
    return "\n".join([heading, *(f"{line},note" for line in lines)]) + "\n"


def without_seconds(text):
    return text.replace(",,0.0,", ",,,")


@pytest.mark.parametrize(
    "change, read",
    [(as_spreadsheet, 0), (with_a_column, 2), (without_seconds, 0)],
    ids=lambda value: str(value),
)
def test_a_log_that_others_have_changed_is_kept(tmp_path, change, read):
    log, lines = Log(tmp_path, 0), []
    for step in (1, 2):
        log.write(step, {"loss": 1.0})
    changed = change((tmp_path / "log.csv").read_text()).encode()
    (tmp_path / "log.csv").write_bytes(changed)

    Log(tmp_path, 2, lines.append).write(3, {"loss": 1.0})

    assert len(steps(tmp_path)) == read + 1
    assert (tmp_path / "log-until-step-2.csv").read_bytes() == changed
    (line,) = lines
    assert line.endswith(f"kept as log-until-step-2.csv; {read} rows are read")


def test_a_last_line_that_was_cut_within_a_number_is_not_read(tmp_path):
    log, lines = Log(tmp_path, 0), []
    for step in (1, 2):
        log.write(step, {"validation_ssim_matlab": 0.875})
    whole = (tmp_path / "log.csv").read_bytes()
    (tmp_path / "log.csv").write_bytes(whole[:-2])

    assert steps(tmp_path) == [1]
    assert Log(tmp_path, 2, lines.append) and not lines


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    log = Log(tmp_path, 0)
    (tmp_path / "log.csv").unlink()
    (tmp_path / "log.csv").symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left on device") as error:
        log.write(1, {})

    assert error.value.filename == str(tmp_path / "log.csv")
