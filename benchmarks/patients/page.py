"""The page of the manual, from results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from program import Program
from tables import PUBLISHED, each_program, majority, summary

_HEAD = """\
# Programs that do not train

How `diagnose(model, x, y)` judges programs that people reported as broken, before a first step of
training; written by `python benchmarks/patients --page docs/patients.md`. Each program is a net
with data of the reported shape and scale (generated), its loss and optimizer, and a repair. A
program counts as found if there is a finding; cause and place are those of the first finding alone.
The end, the loss and the targets of a mismatch count as one place, since to change either mends it.
Initial weights: {seeds}; intervals are Wilson's, over programs.

"""
_COLLECTED = """\
## Collected programs

Questions from Stack Overflow and GitHub, as gathered by DeepLocalize, DeepFD and deepmufl; {count}
of {total} were run. The limits of `diagnose` were chosen with an eye on programs of these
collections.

"""
_PUBLISHED = """\

Published for the tools of that research, which look at a training after it has begun, on the whole
collections (of which these are a part):

{table}
An independent comparison finds a precision of .18 to .21 for all of them.

"""
_FURTHER = """\
## Further programs

Our own, of the same kinds, written after the limits had been chosen; {count} of {total} were run.
When they were written {early} of 89 were found. Kinds that were not seen were then added (ends of
subclassed models, values that an embedding cannot look up, a softmax along another axis,
schedules, decay, momentum), so that the figures below are no longer of programs unseen.

"""
_HEALTHY = """\
## Healthy programs

{count} programs in the manner of Keras's examples. {alarmed} of them are alarmed{which}.
"""

_BLIND = """\
## Programs written blind

{count} of {total} programs after public reports and the kinds of faults of Humbatova et al. (2020,
arXiv:1910.11015), and {healthy} healthy ones, written by someone who had not seen how `diagnose`
decides, of other forms than those above, and before any verdict on them was seen. {since} One of
the healthy ones was alarmed later for its learning rate, and rightly: it stayed at chance. It has a
tenth of it now, and learns all.

"""
_SINCE = """With the
library as it was then, one seed: {found} of {broken} found, {named} with the cause and {located}
with the place named first, {alarmed} repaired ones alarmed, and {false} of the
{healthy} healthy ones that were looked at. What was missed was
looked at afterwards, so that the figures below are no longer of programs unseen."""

_SECOND = """\
## A second set written blind

{count} of {total} programs after public reports, spread over kinds as reports are (two in three are
a mismatch of output, loss and labels, a scale, a rate, an activation or initial weights), and
{healthy} healthy ones. They were written blind after the kinds of the first set had been looked
at, and each side was trained before any verdict on it was seen. {since}

"""

_THIRD = """\
## A third set written blind

{count} of {total} programs, about half after public reports, and {healthy} healthy ones, by another
author, after the kinds of the second set had been looked at; the later ones were trained by someone
who had not seen the code either. A pair is here only if its broken side was seen to fail and its
repair to learn: of faults that cost a little it says nothing. {since}

"""

_FOURTH = """\
## A fourth set written blind

{count} of {total} programs and {healthy} healthy ones, by an author who had read neither the code
nor the manual of `diagnose`, more of them of kinds that are seldom asked about (arguments of
layers, masks, schedules, custom losses) and of healthy programs that look odd. A pair is here only
if its broken side was seen to fail and its repair to learn, before any verdict on it was seen. Some
faults show only in what the data mean, which no look at a net can know. {since}

"""

_FIRST = {  # the first runs, seed 0: of commits 5d5ca4d, 9c0f847, and 4c4af1b with acedcab
    "blind": {
        "found": 28,
        "broken": 47,
        "named": 22,
        "located": 21,
        "alarmed": 3,
        "false": 0,
        "healthy": 25,
    },
    "blind-second": {
        "found": 30,
        "broken": 37,
        "named": 30,
        "located": 29,
        "alarmed": 0,
        "false": 1,
        "healthy": 21,
    },
    "blind-third": {
        "found": 40,
        "broken": 46,
        "named": 40,
        "located": 37,
        "alarmed": 0,
        "false": 0,
        "healthy": 30,
    },
}

_EARLY = 60  # with the library as it was when they were written, one seed


def write(
    path: Path, parts: Mapping[str, dict[str, Program]], rows: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Writes the page."""
    seeds = len({row["seed"] for row in rows.get("collected", [])})
    text = _HEAD.format(
        seeds="one seed" if seeds == 1 else f"{seeds} seeds, of which the majority counts"
    )
    for part, head in (("collected", _COLLECTED), ("further", _FURTHER)):
        if not rows.get(part):
            continue
        mine = rows[part]
        text += head.format(
            count=len({row["key"] for row in mine}), early=_EARLY, total=len(parts[part])
        )
        text += "\n".join(summary(mine)) + "\n"
        text += _PUBLISHED.format(table=PUBLISHED) if part == "collected" else "\n"
        text += "\n".join(each_program(parts[part], mine)) + "\n\n"
    if rows.get("healthy"):
        text += _HEALTHY.format(**_left_in_peace(rows["healthy"])) + "\n"
    for part, head in (
        ("blind", _BLIND),
        ("blind-second", _SECOND),
        ("blind-third", _THIRD),
        ("blind-fourth", _FOURTH),
    ):
        text += _blind(part, head, parts, rows)
    path.write_text(text.rstrip("\n") + "\n")


def _blind(
    part: str,
    head: str,
    parts: Mapping[str, dict[str, Program]],
    rows: Mapping[str, list[dict[str, Any]]],
) -> str:
    """Returns the section of a part written blind and of the healthy programs that go with it."""
    mine, good = rows.get(part, []), rows.get(f"{part}-healthy", [])
    if not mine:
        return ""
    text = head.format(
        count=len({row["key"] for row in mine}),
        total=len(parts[part]),
        healthy=len({row["key"] for row in good}),
        since=_SINCE.format(**_FIRST[part]),
    )
    text += "\n".join([*summary(mine), "", *each_program(parts[part], mine)]) + "\n"
    if good:
        text += "\n{count} healthy programs: {alarmed} alarmed{which}.\n".format(
            **_left_in_peace(good)
        )
    return text + "\n"


def _left_in_peace(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    alarmed = [key for key, bad in majority(rows, "alarmed").items() if bad]
    which = f": {', '.join(alarmed)}" if alarmed else ""
    count = len({row["key"] for row in rows})
    return {"count": count, "alarmed": len(alarmed) or "None", "which": which}
