"""Plain values and NumPy arrays out of pickles, without running them."""

import argparse
import io
import pickle
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earsight.checkpoints.pickle_machine import PickleMachine
from earsight.checkpoints.restricted_pickle import ARRAY_VOCABULARY, read_array_pickle
from earsight.errors import WeightsError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=300)
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(-9, 9), inner, max_size=4)
        | st.sets(st.integers(-(2**63), 2**63), max_size=3)
        | st.frozensets(st.text(max_size=3), max_size=3)
    ),
    max_leaves=12,
)


def interpret(content: bytes) -> Any:
    machine = PickleMachine(
        io.BytesIO(content), ARRAY_VOCABULARY, where="x", size_bytes=len(content)
    )
    return machine.run()


@given(value=PLAIN, protocol=st.integers(0, 5))
def test_plain_values_agree_with_the_standard_reader(value: Any, protocol: int) -> None:
    assert interpret(pickle.dumps(value, protocol)) == value


def test_a_set_or_key_of_a_very_long_number_is_refused() -> None:
    for value in ({2**64}, {2**64: 1}, {-(2**70)}):
        with pytest.raises(WeightsError, match="more than 64 bits"):
            interpret(pickle.dumps(value, 4))


def test_known_containers_become_plain_ones() -> None:
    ordered = OrderedDict(a=1, b=[2])
    ordered._metadata = {"version": 1}  # type: ignore[attr-defined]
    value = [ordered, defaultdict(list, c=[3]), Counter("aab")]
    for protocol in range(6):
        assert interpret(pickle.dumps(value, protocol)) == [
            {"a": 1, "b": [2]},
            {"c": [3]},
            {"a": 2, "b": 1},
        ]


ARRAYS = {
    "float32": np.arange(12, dtype=np.float32).reshape(3, 4),
    "float64": np.linspace(0, 1, 5),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, 1:],
    "big-endian": np.arange(5, dtype=">i2"),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "empty": np.zeros((0, 1024), dtype=np.float32),
    "scalar array": np.array(3.5),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_every_protocol(tmp_path: Path, kind: str, protocol: int) -> None:
    content = pickle.dumps(ARRAYS[kind], protocol)
    (tmp_path / "new.pkl").write_bytes(content)
    # names of NumPy before 2.0: as lines below protocol 4, counted texts above
    old = content.replace(b"numpy._core.", b"numpy.core.")
    if protocol >= 4:
        old = content
        for part in (b"numeric", b"multiarray"):
            new_name, old_name = b"numpy._core." + part, b"numpy.core." + part
            old = old.replace(bytes([len(new_name)]) + new_name, bytes([len(old_name)]) + old_name)
    assert old != content
    (tmp_path / "old.pkl").write_bytes(old)
    for name in ("new.pkl", "old.pkl"):
        array = read_array_pickle(tmp_path / name)
        standard = pickle.loads(content)
        assert np.array_equal(array, standard)
        assert array.dtype == standard.dtype
        assert array.shape == standard.shape


def test_arrays_written_by_python_2_are_read(tmp_path: Path) -> None:
    raw = np.arange(3, dtype="<f4").tobytes()
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85"
        b"U\x01b\x87Rq\x02(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(raw)]) + raw + b"tb."
    )
    (tmp_path / "old.pkl").write_bytes(content)
    assert np.array_equal(read_array_pickle(tmp_path / "old.pkl"), [0, 1, 2])
    assert np.array_equal(pickle.loads(content, encoding="bytes"), [0, 1, 2])


def test_the_real_feature_files_are_read(data_root: Path) -> None:
    files = sorted((data_root / "av_clips").rglob("*.pkl"))
    assert files
    for path in files:
        array = read_array_pickle(path)
        assert array.dtype == np.float32
        assert array.shape in [(215, 2048), (216, 1024), (214, 1024)]
        assert array.min() >= 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([{}, None], dtype=object), "array of Python objects"),
        (np.array(["a"]), "array of 'U1'"),
        (np.zeros(2, dtype=[("a", "f4")]), "array of 'V4'"),
        ([np.zeros(2)], "expected one NumPy array, found a list"),
        ({"a": 1}, "found a dict"),
        (argparse.Namespace(a=1), "asks for argparse.Namespace"),
    ],
)
def test_feature_files_hold_one_array_of_numbers(tmp_path: Path, value: Any, message: str) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(WeightsError, match=message) as caught:
        read_array_pickle(tmp_path / "x.pkl")
    assert str(tmp_path / "x.pkl") in str(caught.value)


def test_array_states_must_fit_their_bytes(tmp_path: Path) -> None:
    content = pickle.dumps(np.zeros(4, dtype=np.uint8), 2)
    for old, new in ((b"K\x04\x85", b"K\x05\x85"), (b"K\x04\x85", b"J\xff\xff\xff\xff\x85")):
        assert old in content
        (tmp_path / "x.pkl").write_bytes(content.replace(old, new))
        with pytest.raises(WeightsError, match=r"should hold 5 bytes|impossible shape"):
            read_array_pickle(tmp_path / "x.pkl")
