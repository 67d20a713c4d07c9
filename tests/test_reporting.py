import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.table import Table

from keras_inits._errors import InputError
from keras_inits._reporting import Finding, Report, plain_text


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...]
    value: float | None


@dataclass(frozen=True, eq=False)
class Example(Report):
    model: str
    parts_of_it: tuple[Part, ...]
    values: NDArray[np.float64]
    by_name: Mapping[str, float]
    findings: tuple[Finding, ...] = ()
    kept: Mapping[Any, Any] = field(default_factory=dict, metadata={"json": False})

    def heading(self):
        return f"{self.model}: {len(self.findings)} findings"

    def table(self):
        table = Table(title=plain_text(self.heading()))
        table.add_column("name")
        table.add_row(plain_text(self.model))
        return table


@pytest.fixture
def example():
    return Example(
        "conv[a] [/b] $x^$ \x1b[31m",
        (Part("one", (1, 2), math.nan), Part("two", (), None)),
        np.array([[1.0, math.inf], [-math.inf, math.nan]]),
        {"a": 1.5, "b": math.inf},
        (Finding("scale", ("conv[a]",), "1.5 of 1", "it grows", "", {"ratio": math.inf}),),
        {("a", 1): 2},
    )


def test_a_report_comes_back_from_strict_json(example):
    text = json.dumps(json.loads(example.to_json()), allow_nan=False)
    back = Example.from_dict(json.loads(text))
    assert back == example
    assert back.to_dict() == example.to_dict()
    assert isinstance(back.parts_of_it[0], Part)
    assert back.parts_of_it[0].sizes == (1, 2)
    assert math.isnan(back.parts_of_it[0].value)
    assert back.parts_of_it[1].value is None
    np.testing.assert_array_equal(back.values, example.values)
    assert back.findings[0].numbers == {"ratio": math.inf}
    assert "kept" not in example.to_dict()


def test_another_number_makes_another_report(example):
    assert dataclasses.replace(example, by_name={"a": 1.25}) != example


@pytest.mark.parametrize("damage", [{"model": "x"}, [], None, {"values": "zero"}])
def test_what_is_no_report_is_refused_in_a_sentence(example, damage):
    plain = damage if not isinstance(damage, dict) else {**example.to_dict(), **damage}
    if damage == {"model": "x"}:
        del plain["values"]
    with pytest.raises(InputError, match="This is no Example"):
        Example.from_dict(plain)


def test_names_are_text_in_the_terminal_and_in_html(example):
    assert "conv[a] [/b] $x^$ \\x1b[31m" in example.summary()
    assert "\x1b" not in example.summary()
    assert "conv[a] [/b] $x^$" in example._repr_html_()
    assert str(example) == example.summary()


def test_findings_decide_whether_a_report_is_ok(example):
    assert not example.ok
    with pytest.raises(AssertionError, match=r"scale: conv\[a\]: 1.5 of 1. it grows"):
        example.assert_ok()
    fine = dataclasses.replace(example, findings=())
    assert fine.ok
    fine.assert_ok()


def test_a_report_is_written_whole(example, tmp_path):
    assert (tmp_path / "report.json").exists() is False
    text = example.to_json(tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == text
