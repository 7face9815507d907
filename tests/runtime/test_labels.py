import pytest

from edgeproof.runtime import DataError, labels


@pytest.mark.parametrize(
    "text",
    ["cat\ndog\n", "cat\ndog", "cat\r\ndog\r\n", "\ufeffcat\ndog\n", "\ufeffcat\r\ndog"],
    ids=["unix", "no end", "windows", "mark", "mark and windows"],
)
def test_the_ways_editors_save_a_text_give_the_same_labels(text, tmp_path):
    assert labels.parse(text, "labels.txt") == ("cat", "dog")
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert labels.read(path) == ("cat", "dog")


def test_the_order_is_that_of_the_lines_and_names_may_hold_spaces():
    assert labels.parse("zebra\nmaple tree\nÄpfel\n", "x") == ("zebra", "maple tree", "Äpfel")


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n", "\ufeff"])
def test_a_text_without_labels_is_refused(text):
    with pytest.raises(DataError, match=r"names\.txt"):
        labels.parse(text, "names.txt")


@pytest.mark.parametrize(("text", "line"), [("cat\n\ndog\n", 2), ("cat\ndog\n\n", 3), ("\ncat\n", 1), ("a\n \nb", 2)])
def test_an_empty_label_is_found_by_its_line(text, line):
    with pytest.raises(DataError, match=rf"names\.txt, line {line}: an empty label\. Write one label a line"):
        labels.parse(text, "names.txt")


def test_a_label_that_stands_twice_is_found_by_its_second_line():
    with pytest.raises(DataError, match=r"names\.txt, line 3: the label 'cat' stands twice"):
        labels.parse("cat\ndog\ncat\n", "names.txt")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.txt", r"gone\.txt: the labels cannot be read: No such file or directory\. Give a text file"),
        (".", "the labels cannot be read: Is a directory"),
        ("wide.txt", r"wide\.txt is no UTF-8 text"),
        ("empty.txt", r"empty\.txt holds no labels\. Write one a line"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(name, message, tmp_path):
    (tmp_path / "wide.txt").write_text("cat\n", encoding="utf-16")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match=message):
        labels.read(tmp_path / name)


def test_what_is_written_is_read_again():
    names = ("maple tree", "Äpfel", "a,b")
    assert labels.parse(labels.text(names), "x") == names
