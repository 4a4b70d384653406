import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotations.formats.names import Names, csv_cell, portable, safe_relative
from annotations.formats.splits import parse, split_of, stratified
from annotations.records import DatasetError, Report


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "a.jpg"),
        ("train/a b (1).jpg", "train/a b (1).jpg"),
        ("größe.png", "größe.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/a.png", "abs/a.png"),
        ("C:\\x\\a.png", "C_/x/a.png"),
        ("con.png", "_con.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\r\nb.png", "ab.png"),
        ('a"<>|?*.png', "a______.png"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (" a. ", "a"),
    ],
)
def test_portable(name, expected):
    assert portable(name) == expected


@given(st.text(max_size=300))
def test_whatever_comes_out_is_safe_and_stays(name):
    once = portable(name)
    assert safe_relative(once) == once
    assert portable(once) == once


def test_no_two_images_share_a_name():
    names = Names()
    assert [names.give(n) for n in ("a.jpg", "A.JPG", "a.jpg", "a.png")] == [
        "a.jpg",
        "A_2.JPG",
        "a_3.jpg",
        "a.png",
    ]
    names = Names(by_stem=True)
    assert [names.give(n) for n in ("a.jpg", "a.png", "b.png")] == ["a.jpg", "a_2.png", "b.png"]


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x", "\t=x"])
def test_cells_are_neutral(text):
    assert csv_cell(text) == "'" + text
    assert csv_cell("x" + text) == "x" + text


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/a", "a//b", "a\\b", "C:a", "a\x00", "./a"])
def test_unsafe_names(name):
    with pytest.raises(DatasetError):
        safe_relative(name, "/x")


FRACTIONS = {"train": 0.7, "val": 0.2, "test": 0.1}


def test_splits_have_their_shares_and_never_move():
    keys = [str(n) for n in range(10_000)]
    first = [split_of(key, FRACTIONS) for key in keys]
    for name, share in FRACTIONS.items():
        assert first.count(name) / len(keys) == pytest.approx(share, abs=0.02)
    assert first == [split_of(key, FRACTIONS) for key in keys]
    assert first != [split_of(key, FRACTIONS, seed="2") for key in keys]
    assert {split_of(key, {"train": 1.0, "val": 0.0}) for key in keys} == {"train"}


@pytest.mark.parametrize("fractions", [{"train": 0.5}, {"train": 1.5, "val": -0.5}, {}])
def test_fractions_that_are_none(fractions):
    with pytest.raises(ValueError, match="add up"):
        split_of("a", fractions)


def test_a_report_counts_what_it_no_longer_lists():
    report = Report()
    for n in range(1005):
        report.note(str(n))
    assert (len(report.notes), report.more) == (1000, 5)


def test_stratified_splits_share_out_each_category():
    """400 images, a category in half of them, one in a tenth, one in 10 images."""
    has = {
        f"image {n}": {1} | ({2} if n % 2 else set()) | ({3} if n % 10 == 1 else set())
        | ({4} if n % 40 == 7 else set())
        for n in range(400)
    }  # fmt: skip
    fractions = {"train": 0.6, "val": 0.2, "test": 0.2}
    found = stratified(has, fractions, "seed")
    assert found.keys() == has.keys()
    for category, total in ((1, 400), (2, 200), (3, 40), (4, 10)):
        for name, share in fractions.items():
            count = sum(found[key] == name for key in has if category in has[key])
            assert abs(count - total * share) <= 1, (category, name)
    assert found == stratified(dict(reversed(has.items())), fractions, "seed")
    assert found != stratified(has, fractions, "other")


def test_images_without_objects_are_shared_out_too():
    found = stratified({f"{n}": () for n in range(100)}, {"train": 0.5, "val": 0.5})
    assert list(found.values()).count("val") == 50


@pytest.mark.parametrize(
    ("text", "shares"),
    [("80/10/10", (0.8, 0.1, 0.1)), ("0.5/0.5", (0.5, 0.5)), ("1/1/2", (0.25, 0.25, 0.5))],
)
def test_splits_as_text(text, shares):
    found = parse(text)
    assert list(found) == ["train", "val", "test"][: len(shares)]
    assert tuple(found.values()) == pytest.approx(shares)


@pytest.mark.parametrize("text", ["", "a/b", "1/2/3/4", "-1/2", "0/0", "nan/1", "inf/1"])
def test_texts_that_are_no_splits(text):
    with pytest.raises(ValueError):
        parse(text)
