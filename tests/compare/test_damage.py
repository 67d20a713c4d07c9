"""Kept files that are damaged, and folders that cannot be written: one sentence, nothing lost."""

import errno
import io
import json
import os
import shutil

import numpy as np
import pytest
from compare.small_models import BUILD

from keras_inits import Execution, compare
from keras_inits._compare.plan import Run
from keras_inits._compare.store import Store
from keras_inits._errors import InputError, InputFileError

MEMBERS = [("he", 0), ("zeros", 0)]
SHAPES = [(3, 2), (2,)]
SETTINGS = {"model": {"class_name": "Sequential", "config": [1, 2]}, "seed": 0}
SCHEMES = {"he": {"class_name": "HeInit"}, "zeros": {"class_name": "Zeros"}}


def keep(folder):
    """Keeps two finished runs with weights and a half-finished chunk of three epochs."""
    store = Store(folder, SETTINGS, SCHEMES)
    weights = tuple(np.arange(np.prod(s), dtype="float32").reshape(s) for s in SHAPES)
    history = {"loss": (1.0, float("nan")), "test_loss": (2.0, 3.0)}
    store.add([Run(*member, history, "population", weights=weights) for member in MEMBERS])
    histories = [{"loss": [1.0]}, {"loss": [2.0]}]
    store.state(MEMBERS, 3).save([*weights, np.ones(2)], histories)
    return store


def read(folder):
    store = Store(folder, SETTINGS, SCHEMES)
    return store.load(2, weights=SHAPES), store.state(MEMBERS, 3).load([*SHAPES, (2,)])


def damages(content, name, random):
    """Yields damaged forms of a file."""
    yield b""
    yield b"\x00" * len(content)
    yield random.bytes(len(content))
    yield content + b"more"
    for _ in range(6):
        yield content[: random.integers(1, len(content))]
    for _ in range(6):
        flipped = bytearray(content)
        flipped[random.integers(len(content))] ^= 1 << random.integers(8)
        yield bytes(flipped)
    if name.endswith(".json"):
        yield from (
            b"3",
            b"null",
            b'"text"',
            b"[3]",
            b"{}",
            b"[[]]",
            b'[{"scheme": 1}]',
            b"\xff\xfe",
        )
        yield b"[" * 100_000
        plain = json.loads(content)
        first = plain[0] if isinstance(plain, list) else plain
        for key in list(first):
            for value in (None, 3, "text", [], {}, {"loss": "ab"}, {"loss": [[1.0]]}):
                changed = {**first, key: value}
                changed = [changed, *plain[1:]] if isinstance(plain, list) else changed
                yield json.dumps(changed).encode()
    else:
        yield from map(npz, ({}, {"arr_0": np.ones(7)}, {"arr_1": np.ones((3, 2))}))
        yield npz({"arr_0": np.ones(2), "histories": "[3, 4]"})
        yield npz({"arr_0": np.ones(2), "histories": json.dumps([{"loss": [1.0] * 9}] * 2)})
        yield npz({"arr_0": np.array([{}], object)})


def npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_a_damaged_file_is_reported_in_one_sentence_or_still_well_formed(tmp_path):
    random = np.random.default_rng(0)
    keep(tmp_path / "whole")
    runs, (values, histories) = read(tmp_path / "whole")
    assert sorted(runs) == MEMBERS
    assert len(values) == 3
    assert histories == [{"loss": [1.0]}, {"loss": [2.0]}]
    tried, refusals = 0, []
    for file in sorted((tmp_path / "whole").rglob("*.*")):
        for damage in damages(file.read_bytes(), file.name, random):
            folder = tmp_path / "damaged"
            shutil.copytree(tmp_path / "whole", folder)
            (folder / file.relative_to(tmp_path / "whole")).write_bytes(damage)
            tried += 1
            try:
                found, state = read(folder)
            except InputError as error:
                refusals.append((file.name, str(error)))
            else:
                for run in found.values():
                    assert all(isinstance(v, float) for v in run.history["loss"])
                    assert [w.shape for w in run.weights] == SHAPES
                assert state is None or len(state[1]) == 2
            shutil.rmtree(folder)
    assert tried > 100
    assert len(refusals) > 0.8 * tried
    for name, sentence in refusals:
        assert name in sentence
        assert "\n" not in sentence


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_reported_in_one_sentence(code, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    store = keep(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    monkeypatch.setattr(os, "fsync" if code == errno.ENOSPC else "open", fail)
    for write in (
        lambda: Store(tmp_path, SETTINGS, SCHEMES),
        lambda: store.add([Run("he", 7, {"loss": (1.0,)}, "fit", weights=(np.ones(3),))]),
        lambda: store.state(MEMBERS, 3).save([np.ones(2)], [{"loss": [1.0]}] * 2),
    ):
        with pytest.raises(InputFileError, match=os.strerror(code)) as caught:
            write()
        assert "\n" not in str(caught.value)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before


def test_a_file_in_the_way_is_reported_before_anything_is_trained(images, options, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputFileError):
            compare(BUILD, ["he"], images, execution=Execution(out=out), **options)
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(InputFileError):
        compare(BUILD, ["he"], images, execution=Execution(out=tmp_path), **options)
