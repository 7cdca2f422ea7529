from srn.errors import MAX_LINE_LENGTH, first_line


def test_marks_of_operations_are_left_out_and_the_reason_stays():
    text = "{{function_node __wrapped__SaveV2}} /mnt/step-5_temp/part-0: full [Op:SaveV2]\nmore"

    assert first_line(text) == "/mnt/step-5_temp/part-0: full"


def test_a_long_line_keeps_its_end():
    line = first_line("begin " + "x" * 1000 + " No space left on device")

    assert line.startswith("begin") and line.endswith("No space left on device")
    assert len(line) <= MAX_LINE_LENGTH + 5


def test_an_error_without_words_is_its_kind():
    assert first_line(KeyError()) == "KeyError"


def test_the_reason_of_an_error_in_a_graph_is_found_below_its_stack():
    lines = [
        "Graph execution error:",
        "",
        "Detected at node A defined at (most recent call last):",
        '  File "a.py"',
    ]
    after = [
        "Collective ops is aborted by: task 1 is gone",
        "The error could be from a previous operation. [Op:B]",
    ]

    assert first_line("\n".join([*lines, *after])) == "Collective ops is aborted by: task 1 is gone"
    assert first_line("Graph execution error:") == "Graph execution error:"
