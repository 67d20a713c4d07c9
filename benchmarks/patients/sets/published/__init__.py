"""The other programs of the published collections: those that `collected` does not hold.

As there, the keys are the numbers of the questions, and data are generated. Ported without a look
at any verdict. Both sides were trained, most with three seeds; a pair is here only if its repair
ends at least .1 better with each. Nets that are large are narrower here.

References:
    Wardat, Le, Rajan 2021, DeepLocalize, https://doi.org/10.1109/ICSE43902.2021.00034
    Ghanbari et al. 2023, deepmufl, https://doi.org/10.1109/ASE56229.2023.00079
"""

from program import Program

from sets.published import classes, pictures, values

BROKEN: dict[str, Program] = {**classes.BROKEN, **values.BROKEN, **pictures.BROKEN}
