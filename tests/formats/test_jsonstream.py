"""A list that is read element by element is what json.loads says it is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotations.formats import jsonstream
from annotations.records import DatasetError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('a"\\{}[],:ä \n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("a{\\,", max_size=3), inner)
    ),
    max_leaves=12,
)


def everything(path, text: bytes, order=None):
    path.write_bytes(text)
    value, elements = jsonstream.load_streaming(path, "list")
    if elements is not None:
        value["list"] = [one for batch in elements.batches(order) for one in batch]
    return value


def all_of_list(path, text: bytes):
    path.write_bytes(text)
    elements = jsonstream.load_list(path)
    assert elements is not None
    return [one for batch in elements.batches() for one in batch]


@settings(max_examples=30, deadline=None)
@given(
    document=st.dictionaries(st.text('l"\\,}', max_size=3), VALUES, max_size=3),
    elements=st.lists(VALUES, max_size=7),
    indent=st.sampled_from([None, 1]),
    block=st.integers(1, 40),
)
def test_whatever_is_in_it_comes_out(document, elements, indent, block, tmp_path_factory):
    whole = {**document, "list": elements}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "BLOCK", block)
        patch.setattr(jsonstream, "AT_ONCE", 3)
        path = tmp_path_factory.getbasetemp() / "stream.json"
        text = json.dumps(whole, indent=indent, ensure_ascii=block % 2 == 0).encode()
        assert everything(path, text) == whole
        back = list(range(len(elements)))[::-1]
        assert everything(path, text, back)["list"] == elements[::-1]
        assert all_of_list(path, json.dumps(elements, indent=indent).encode()) == elements


@pytest.mark.parametrize(
    "text",
    [
        '{"list": [1,]}', '{"list": [,]}', '{"list": [1 2]}', '{"list": [{} {}]}', '{"list": [1}',
        '{"list": [{]}]}', '{"list": [1], }', '{"list": [1]} x', '{"list": [1]}{}', '{"list" [1]}',
        '{list: [1]}', '{"list": [1]', '{"list": ["a]}', '{"list": [1]]}', '{"list": [1}]}',
        '{"list": [NaN]}', '{"a": nul, "list": []}', '{"list": [1], , "a": 1}', '{"list": [1]]',
        '{"list": ["\\x"]}', '{"list": [01]}', '{,"list": [1]}',
    ],
)  # fmt: skip
def test_what_json_refuses_is_refused(text, tmp_path):
    with pytest.raises(ValueError):
        json.loads(text, parse_constant=jsonstream.refuse_constant)
    with pytest.raises(DatasetError) as caught:
        everything(tmp_path / "a.json", text.encode())
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("text", ["[1,]", "[1", "[1]]", "[1}", "[1] 2", "[NaN]", "[1 2]", "]", ""])
def test_a_broken_list_is_refused(text, tmp_path):
    with pytest.raises(DatasetError) as caught:
        all_of_list(tmp_path / "a.json", text.encode())
    assert caught.value.code == "unreadable"


def test_what_is_no_list_has_no_elements(tmp_path):
    (tmp_path / "a.json").write_text('{"list": [1]}')
    assert jsonstream.load_list(tmp_path / "a.json") is None


def test_an_error_names_the_byte(tmp_path):
    with pytest.raises(DatasetError, match=r"byte 22\)"):
        everything(tmp_path / "a.json", b'{"list": [{"a": 1, "b"}]}')


def test_a_byte_order_mark_and_blanks_are_no_error(tmp_path):
    text = b'\xef\xbb\xbf \n{ "a" :\t1 , "list" : [ ] } \n'
    assert everything(tmp_path / "a.json", text) == {"a": 1, "list": []}
