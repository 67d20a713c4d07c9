"""The programs of the how-to pages run as they stand, from top to bottom."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

import keras_inits
from keras_inits._finding_kinds import (
    RemarkKind,
    SettingKind,
    SignalKind,
    StartKind,
    TrainingKind,
    WeightKind,
)
from keras_inits._recipes.recipe import _recipes

PAGES = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def program(page):
    """Returns the Python of a page."""
    blocks = BLOCK.findall((PAGES / f"{page}.md").read_text())
    assert blocks, f"{page} has no example"
    return "\n".join(textwrap.dedent(code) for _, code in blocks)


def run(page, name="page"):
    space = {"__name__": name}
    exec(compile(program(page), f"{page}.md", "exec"), space)
    return space


@pytest.mark.parametrize("page", ["audit", "initialize", "starts"])
def test_a_page_prints_what_it_shows(page, capsys):
    run(page)
    printed = words(capsys.readouterr().out)
    shown = re.findall(r"^```text\n(.*?)^```$", (PAGES / f"{page}.md").read_text(), re.M | re.S)
    assert shown
    for block in shown:
        assert words(block) in printed


def words(text):
    """Returns text without numbers, whose last digits another processor rounds otherwise."""
    return re.sub(r"[\s\d.±%]+", " ", text)


@pytest.mark.filterwarnings("ignore:You are using a softmax")  # Keras, of the second example
def test_a_broken_net_is_found_and_mended(capsys):
    space = run("diagnose")
    assert space["report"].findings[0].kind == "output activation"
    assert "probabilit" in capsys.readouterr().out
    assert space["monitor"].history


def test_every_kind_of_finding_is_explained_in_the_order_of_reports(capsys):
    run("findings")
    assert "constant kernel" in capsys.readouterr().out
    sections = re.split(r"^## ", (PAGES / "findings.md").read_text(), flags=re.MULTILINE)[1:]
    explained = [re.findall(r"^\| ([a-z -]+) \|", part, re.MULTILINE) for part in sections]
    signal, setting, weights, starts, training = (
        list(get_args(kinds))
        for kinds in (SignalKind, SettingKind, WeightKind, StartKind, TrainingKind)
    )
    assert explained[:3] == [signal, setting, weights]
    assert [sorted(kinds) for kinds in explained[3:]] == [sorted(starts), sorted(training)]
    remarks = sections[2].rpartition("Remarks")[2]
    assert all(f"{kind} (" in remarks for kind in get_args(RemarkKind))


def test_starts_are_compared_and_more_seeds_join(capsys):
    space = run("compare")
    assert space["result"].schemes == ("Keras's own", "He", "calibrated")
    assert "paired difference" in capsys.readouterr().out


def test_a_layer_of_ones_own_is_registered(capsys):
    run("how-to/geometry")
    *_, size = capsys.readouterr().out.split()
    assert float(size) == pytest.approx(1.0, abs=0.15)


def test_the_rate_of_a_narrow_net_is_carried_to_a_wide_one():
    space = run("how-to/mup")
    assert space["check"].ok


@pytest.mark.slow
def test_a_comparison_goes_to_several_processes(tmp_path):
    script = tmp_path / "cluster.py"
    script.write_text(program("how-to/on-a-cluster"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert "paired difference" in done.stdout


@pytest.mark.slow
def test_a_model_is_sharded_and_loaded_without_drawing(tmp_path):
    pytest.importorskip("jax")
    script = tmp_path / "large.py"
    script.write_text(program("how-to/large-models"))
    devices = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,  # it saves weights
        env={**os.environ, **devices},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "512x1024" in done.stdout


def test_a_scheme_and_a_recipe_of_ones_own_are_set(capsys, monkeypatch):
    monkeypatch.setitem(_recipes, "quarter", None)  # taken out again when the test ends
    space = run("how-to/write-your-own", name="own")
    assert "quarter: head" in capsys.readouterr().out
    layer = keras.layers.Dense(64)
    layer.build((None, 800))
    keras_inits.initialize(layer, space["HalfInit"]())
    assert float(np.std(layer.kernel)) == pytest.approx(0.5 * (2 / 800) ** 0.5, rel=0.03)


def test_a_model_is_saved_and_loaded_with_the_library_and_without(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = run("how-to/save-and-load")
    kept, loaded = (space[name].get_weights() for name in ("again", "model"))
    assert all(map(np.array_equal, kept, loaded))
    assert "weights of 9,472 numbers were not drawn" in capsys.readouterr().out


@pytest.mark.slow
def test_a_language_model_is_started_and_gets_more_tokens(capsys):
    pytest.importorskip("keras_hub")
    run("how-to/language-models")
    out = capsys.readouterr().out
    assert "68 weights, 0 left alone" in out
    assert "random cotangent: healthy" in out
