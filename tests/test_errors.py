from srn.errors import LONGEST_LINE, first_line


def test_marks_of_operations_are_left_out_and_the_reason_stays():
    text = "{{function_node __wrapped__SaveV2}} /mnt/step-5_temp/part-0: full [Op:SaveV2]\nmore"

    assert first_line(text) == "/mnt/step-5_temp/part-0: full"


def test_a_long_line_keeps_its_end():
    line = first_line("begin " + "x" * 1000 + " No space left on device")

    assert line.startswith("begin") and line.endswith("No space left on device")
    assert len(line) <= LONGEST_LINE + 5


def test_an_error_without_words_is_its_kind():
    assert first_line(KeyError()) == "KeyError"
