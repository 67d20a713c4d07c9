"""The sets of programs, by the names that `--part` takes.

- `collected`: what people asked about and the research on fault diagnosis gathered, each with its
  repair.
- `published`: the others of those collections, ported later and without a look at any verdict.
- `further`: our own of the same kinds.
- `healthy`: programs that train well, as in Keras's examples.
- `blind`, `blind-second` to `blind-fifth`, `blind-seventh` to `blind-ninth`, each with its
  `-healthy` ones: sets in the folders `first` to `fifth` and `seventh` to `ninth`, written without
  a look at how `diagnose` decides and before any verdict on them was seen. From the second set on,
  both sides of each program were trained: a pair is kept where its repair learns and ends clearly
  better, a healthy program where it learns. Each set was first run after the limits of `diagnose`
  had been chosen by the sets before; the seventh and the eighth at the same time.
- `threads`, `threads-second` and `threads-third`, each with its `-healthy` ones: further questions
  that people asked, and programs of tutorials and answers; chosen and trained in the same way.

All are ports: nets, losses and optimizers as reported, data generated. A file enters its pairs of
broken and repaired programs into a table `BROKEN`, those without a fault into `HEALTHY`.
"""

from program import Program

from sets import (
    collected,
    eighth,
    fifth,
    first,
    fourth,
    further,
    healthy,
    ninth,
    published,
    second,
    seventh,
    third,
    threads,
    threads_second,
    threads_third,
)

SETS: dict[str, dict[str, Program]] = {
    "collected": collected.BROKEN,
    "further": further.BROKEN,
    "healthy": healthy.HEALTHY,
    "published": published.BROKEN,
    "blind": first.BROKEN,
    "blind-healthy": first.HEALTHY,
    "blind-second": second.BROKEN,
    "blind-second-healthy": second.HEALTHY,
    "blind-third": third.BROKEN,
    "blind-third-healthy": third.HEALTHY,
    "blind-fourth": fourth.BROKEN,
    "blind-fourth-healthy": fourth.HEALTHY,
    "blind-fifth": fifth.BROKEN,
    "blind-fifth-healthy": fifth.HEALTHY,
    "blind-seventh": seventh.BROKEN,
    "blind-seventh-healthy": seventh.HEALTHY,
    "threads": threads.BROKEN,
    "threads-healthy": threads.HEALTHY,
    "threads-second": threads_second.BROKEN,
    "threads-second-healthy": threads_second.HEALTHY,
    "threads-third": threads_third.BROKEN,
    "threads-third-healthy": threads_third.HEALTHY,
    "blind-eighth": eighth.BROKEN,
    "blind-eighth-healthy": eighth.HEALTHY,
    "blind-ninth": ninth.BROKEN,
    "blind-ninth-healthy": ninth.HEALTHY,
}
