import os

import pytest

from keras_inits._files import write_whole


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "new" / "result.json"
    write_whole(path, "old")

    def full(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_as_readable_as_any_other(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    write_whole(tmp_path / "whole", b"content")
    assert (tmp_path / "whole").stat().st_mode == ordinary.stat().st_mode
    assert (tmp_path / "whole").read_bytes() == b"content"
