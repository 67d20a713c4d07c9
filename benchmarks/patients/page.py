"""The page of the manual, from results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from program import Program
from tables import PUBLISHED, counted, each_program, majority, overview

Rows = Sequence[dict[str, Any]]
MUTANTS = "\n## Mutants\n"  # the head of the section that `mutants.py --page` writes

_HEAD = """\
# Programs that do not train

How `diagnose(model, x, y)` judges programs that people reported as broken, before a first step of
training; written by `python benchmarks/patients --page docs/patients.md`. Each program is a net
with data of the reported shape and scale (generated), its loss and optimizer, and a repair. A
program counts as found if there is a finding; cause and place are those of the first finding alone.
The end, the loss and the targets of a mismatch count as one place, since to change either mends it.
Initial weights: {seeds}; intervals are Wilson's, 95 %, over programs.

What counts for a program of your own is a **first run**: programs that were written blind, judged
by the library as it was then. What they showed was looked at afterwards, so that the figures of
**now** are no longer of programs unseen.

{overview}

Published for the tools of research, which look at a training after it has begun, on the whole
collections of which `collected` is a part:

{published}
An independent comparison finds a precision of .18 to .21 for all of them.

"""
_SECTIONS = {
    "collected": """\
## Collected programs

Questions from Stack Overflow and GitHub, as gathered by DeepLocalize, DeepFD and deepmufl. The
limits of `diagnose` were chosen with an eye on programs of these collections.
""",
    "published": """\
## The others of the published collections

The programs of DeepLocalize and deepmufl that `collected` does not hold, ported before any verdict
was seen, by an author who had not looked at the code of `diagnose`; large nets are narrower. Of 63
ported 51 are here, whose broken side fails and whose repair ends at least .1 better; training alone
decided that, of four after their verdicts were known. Of the other twelve the fault that was
reported costs less on data that are generated, or not with all initial weights, such as sigmoids
under categorical cross-entropy, which Keras divides by their sum. Both alarms of the first run were
of data that are sorted, of which the run looked at the first 256; `diagnose` itself said the same
of all of them, and mixes them since; here they are mixed. Of two pairs the list of what is wrong
was amended after it: a kernel with the same initial weights as others, and ten units for one value.
""",
    "further": """\
## Further programs

Our own, of the same kinds, written after the limits had been chosen. Kinds that were not seen were
then added (ends of subclassed models, values that an embedding cannot look up, a softmax along
another axis, schedules, decay, momentum).
""",
    "healthy": """\
## Healthy programs

In the manner of Keras's examples.
""",
    "blind": """\
## Programs written blind

After public reports and the kinds of faults of Humbatova et al. (2020, arXiv:1910.11015), by
someone who had not seen how `diagnose` decides, of other forms than those above, and before any
verdict on them was seen. One of the healthy ones was alarmed later for its learning rate, and
rightly: it stayed at chance. It has a tenth of it now, and learns all. Of two programs, and of one
of the third set, the list of what is wrong was amended later: it left out layers that get the same
initial weights as those in it. The repair of one (convolutions from N(0, 1)) was alarmed for its
learning rate, and rightly: it reached 0.73 and 0.25; it has a tenth of it now, and reaches 1.
""",
    "blind-second": """\
## A second set written blind

After public reports, spread over kinds as reports are (two in three are a mismatch of output, loss
and labels, a scale, a rate, an activation or initial weights). Written after the kinds of the first
set had been looked at, and each side was trained before any verdict on it was seen.
""",
    "blind-third": """\
## A third set written blind

About half after public reports, by another author, after the kinds of the second set had been
looked at; the later ones were trained by someone who had not seen the code either. A pair is here
only if its broken side was seen to fail and its repair to learn: of faults that cost a little it
says nothing.
""",
    "blind-fourth": """\
## A fourth set written blind

By an author who had read neither the code nor the manual of `diagnose`, more of them of kinds that
are seldom asked about (arguments of layers, masks, schedules, custom losses) and of healthy
programs that look odd. A pair is here only if its broken side was seen to fail and its repair to
learn, before any verdict on it was seen. Some faults show only in what the data mean, which no look
at a net can know.
""",
    "blind-fifth": """\
## A fifth set written blind

Of what people usually post, over the whole range of tasks (tables, series, texts, pictures, masks,
pairs, values of actions), by an author who had not seen the code of `diagnose`. A pair is here only
if its broken side was seen to fail and its repair to learn, before any verdict on it was seen.
""",
    "blind-seventh": """\
## A seventh set written blind

Texts, series, sounds, tables, tastes, pairs, lives, grades, quantiles, actions and equations, after
what forums and issues report from 2020 on, by an author who had read this page and no code of
`diagnose`. A pair is here only if its broken side was seen to fail and its repair to learn, each
with two seeds, on samples held out, before any verdict on it was seen: 33 of 38 pairs. All of 24
healthy programs learn, 18 of them tried at one seed. Many of its faults are rare ones.
""",
    "blind-eighth": """\
## An eighth set written blind

Pictures, masks, boxes and depths, autoencoders, diffusion and flows, codes by contrast, graphs, own
layers, losses and steps; by an author who had read neither the code nor the manual of `diagnose`.
Each side was trained, some only after the first verdict, at one seed or two, and scored on samples
left out, but for one pair and eight healthy programs; training alone decided what is kept. Of 31
healthy programs 5 were dropped that did not learn, could not be scored or had depths below 0; two
of these were alarmed. Of one pair the list of what is wrong was amended after the first run: a ReLU
on the last kernel is an activation of that layer, too.
""",
    "blind-ninth": """\
## A ninth set written blind

Optimizers used wrongly, precision, own layers, losses and what pipelines do to rows; by an author
who had read neither the code nor the manual of `diagnose`. A small set, written in haste and of our
own making, not of threads. Each side was trained at one seed, but for one healthy program before
any verdict, and scored on the samples that it was trained on; training alone decided what is kept.
Of 21 pairs 3 were dropped: one whose repair did not learn, and two whose broken side reached 0.91,
and 0.65 of five classes. Of one pair the list of what is wrong left out the half precision that its
repair changes.
""",
    "threads": """\
## Programs of real threads

Further questions of Stack Overflow, Stack Exchange, forums and GitHub, which none of the sets above
held; the page of each is named in its source. Nets, losses and optimizers are those that were
posted (narrower where they were large). Ported by an author who had read the manual of `diagnose`
and not its code, before any verdict was seen. Of 42 pairs 33 are here, whose broken side fails and
whose repair learns; of 20 healthy programs of tutorials and accepted answers, 17 that learn.
Training alone decided that, at one seed, of some after their verdicts were known; it amended two
repairs. Three small healthy programs were not trained. The healthy one that is alarmed is Nielsen's
first net of normal weights: it reaches 0.92, and his book tells in chapter 3 why smaller weights
are better. Of two pairs the list of what is wrong was amended after the first run: binary
cross-entropy takes no targets of 255 (the autoencoder on bytes), and a normalization over one
channel leaves nothing (the transformer).
""",
    "threads-second": """\
## More programs of real threads

As the set above, by an author who had read the manual of `diagnose` and the names of its kinds, and
not its code. Some threads give little more than the layers, the loss and the answer: the rest is
what is usual. Both sides of all pairs were trained at two seeds, of four of them the second while
the first run was on; healthy programs at one. Of 35 pairs 33 are here: one was in `collected`
already, and sigmoids under categorical cross-entropy learn. Where broken sides had learned, in four
pairs, data, net or optimizer were made harder before the first run. The xnor of two ReLU learns at
one seed of the two, and is kept. Of 8 healthy programs 7 are here: the transformer, which
normalizes over one channel, reached 0.71. Of two pairs the list of what is wrong was amended after
the first run: Adadelta's rate is 0.001 today, and was 1 when the sentences were posted; and what
layers add is a fault of the loss. Two ReLU for an exclusive or are a matter of luck, which is not
seen; nor are rates and statistics that would do in more steps than were made, nor a focal loss
under which the background is all that is learned.
""",
    "threads-third": """\
## A third set of real threads

As the set above, by an author who had read the manual of `diagnose` and this page, and no code of
its checks; before the last three pairs were written, the checks of rates. Both sides were trained
at one seed, four toys and one of the healthy programs while the first run was on. Of 46 pairs 32
are here: four whose broken side learned were left out, and ten whose threads turned out to be in
other sets, eight of these after their verdict (all found, with the cause first). Of 12 healthy
programs 10 are here: one belonged to a thread of another set, and the one that teaches a policy by
categories did not learn. Not seen are Adam at 1e-5, which would do in far more steps, an exclusive
or that two sigmoids learn as slowly, and two ReLU through which a mask has to pass: they look like
a rare class.
""",
}

# The first runs, seed 0: of commits 5d5ca4d, 9c0f847, 4c4af1b with acedcab, f6dd847, 4787c48,
# 232ace7, ee69a7d, e7b820c and 44c7ff4, of a4c0b31 for the published ones, of f19f26e for the
# second set of threads, and of e01eea2 for the third. Of the further programs it is known how many
# were found when they were written.
_FIRST: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "published": {
        "found": (45, 51),
        "named": (42, 51),
        "located": (41, 51),
        "alarmed": (2, 51),
    },
    "further": {"found": (60, 89)},
    "blind": {
        "found": (28, 47),
        "named": (22, 47),
        "located": (21, 47),
        "alarmed": (3, 47),
        "healthy": (0, 25),
    },
    "blind-second": {
        "found": (30, 37),
        "named": (30, 37),
        "located": (29, 37),
        "alarmed": (0, 37),
        "healthy": (1, 21),
    },
    "blind-third": {
        "found": (40, 46),
        "named": (40, 46),
        "located": (37, 46),
        "alarmed": (0, 46),
        "healthy": (0, 30),
    },
    "blind-fourth": {
        "found": (17, 31),
        "named": (15, 31),
        "located": (14, 31),
        "alarmed": (0, 31),
        "healthy": (1, 24),
    },
    "blind-fifth": {
        "found": (29, 39),
        "named": (28, 39),
        "located": (26, 39),
        "alarmed": (0, 39),
        "healthy": (0, 23),
    },
    "blind-seventh": {
        "found": (11, 33),
        "named": (10, 33),
        "located": (8, 33),
        "alarmed": (2, 33),
        "healthy": (0, 24),
    },
    "blind-eighth": {
        "found": (22, 47),
        "named": (20, 47),
        "located": (19, 47),
        "alarmed": (0, 47),
        "healthy": (1, 26),
    },
    "blind-ninth": {
        "found": (15, 18),
        "named": (12, 18),
        "located": (12, 18),
        "alarmed": (0, 18),
        "healthy": (0, 10),
    },
    "threads": {
        "found": (25, 33),
        "named": (23, 33),
        "located": (22, 33),
        "alarmed": (0, 33),
        "healthy": (1, 17),
    },
    "threads-second": {
        "found": (24, 33),
        "named": (22, 33),
        "located": (22, 33),
        "alarmed": (0, 33),
        "healthy": (0, 7),
    },
    "threads-third": {
        "found": (28, 32),
        "named": (26, 32),
        "located": (26, 32),
        "alarmed": (0, 32),
        "healthy": (0, 10),
    },
}


def write(
    path: Path, parts: Mapping[str, dict[str, Program]], rows: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Writes the page, but for what it says of mutants, which stays."""
    kept = path.read_text().partition(MUTANTS)[1:] if path.exists() else ()
    shown = {part: head for part, head in _SECTIONS.items() if rows.get(part)}
    seeds = len({row["seed"] for row in rows.get("collected", [])})
    text = _HEAD.format(
        seeds="one seed" if seeds == 1 else f"{seeds} seeds, of which the majority counts",
        overview="\n".join(overview(_figures(part, rows) for part in shown)),
        published=PUBLISHED,
    )
    for part, head in shown.items():
        mine, good = rows[part], rows.get(f"{part}-healthy", [])
        if part == "healthy":
            mine, good = [], mine
        text += head
        if mine:
            text += "\n" + "\n".join(each_program(parts[part], mine)) + "\n"
        if good:
            text += f"\n{_left_in_peace(good)}\n"
        text += "\n"
    path.write_text(text.rstrip("\n") + "\n" + "".join(kept))


def _figures(part: str, rows: Mapping[str, Rows]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Returns the name of a part, the figures of its first run, and those of now."""
    good = rows[part] if part == "healthy" else rows.get(f"{part}-healthy", [])
    now = {} if part == "healthy" else counted(rows[part])
    if good:
        alarms = majority(good, "alarmed")
        now["healthy"] = sum(alarms.values()), len(alarms)
    return part, dict(_FIRST.get(part, {})), now


def _left_in_peace(rows: Rows) -> str:
    alarms = majority(rows, "alarmed")
    alarmed = [key for key, bad in alarms.items() if bad]
    which = f": {', '.join(alarmed)}" if alarmed else ""
    return f"Of {len(alarms)} healthy programs {len(alarmed) or 'none'} are alarmed{which}."
