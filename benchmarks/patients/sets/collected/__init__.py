"""Programs that people asked about, as collected by DeepLocalize, DeepFD and deepmufl.

The keys are the numbers of the questions on Stack Overflow. Nets, losses, optimizers and faults are
those that were reported; data are generated at the reported shapes and scales, since most
questions give none. Where the accepted answer alone does not make the program learn, the repair
holds what does.

References:
    Wardat, Le, Rajan 2021, DeepLocalize, https://doi.org/10.1109/ICSE43902.2021.00034
    Cao et al. 2022, DeepFD, https://doi.org/10.1145/3510003.3510099
    Ghanbari et al. 2023, deepmufl, https://doi.org/10.1109/ASE56229.2023.00079
"""

from program import Program

from sets.collected import deepfd, hidden, one_softmax, wrong_ends

BROKEN: dict[str, Program] = {
    **deepfd.BROKEN,
    **one_softmax.BROKEN,
    **wrong_ends.BROKEN,
    **hidden.BROKEN,
}
