"""`auto`: a scale for each kernel from what reaches it and what is asked of it.

The calls of a model are walked in order. What comes out of each is carried as a `Signal`; a kernel
that is met for the first time gets the standard deviation at which its output has the second moment
asked for, given the signal that is there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from keras_inits._initialize.aims import HEAD, Aim, find_aims
from keras_inits._initialize.carrying import FAR, Carrier, Choice, Weight
from keras_inits._initialize.drawing import drawn_by, keeps_sign
from keras_inits._initialize.ends import Ends
from keras_inits._initialize.logits import aim_of_head, logit_shares
from keras_inits._initialize.places import in_common
from keras_inits._initialize.repeats import deciding_calls
from keras_inits._initialize.scores import score_parts
from keras_inits._initialize.shares import Residual, Shares
from keras_inits._initialize.straight import straight_through
from keras_inits._initialize.tables import CODES, table_start
from keras_inits._initialize.tied import summed_weights_of_uses
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.kinds import Kind
from keras_inits._moments import (
    PLACES,
    Place,
    matrix_that_comes_in,
    recurrent_output,
    stacked,
)
from keras_inits._schemes import ConstantInit, XavierInit, ZerosInit
from keras_inits._wiring import Call, Wiring

# Of a sequence of any length: as many steps as `_moments` carries a state over.
_OPEN_STEPS = PLACES
_SCORE = "part of a score, for the loss of a guess"
_MATRIX = "if the matrix that comes in keeps the size of what it multiplies"
_STRAIGHT = "for what stands behind a straight-through sum, whose values"
_SMALL_ROWS = "less until the small rows before it have grown"
_SOME_SMALL_ROWS = f"some of it {_SMALL_ROWS}"
# Calls of one kernel that differ by less are alike: samples of signals err by as much.
_ALIKE = 0.05


def choose(
    model: Any, wiring: Wiring, weights: Mapping[str, Weight], residual: Residual = "auto"
) -> dict[str, Choice]:
    """Returns a choice for each kernel that a call of the model reads.

    Args:
        model: the model.
        wiring: how it is wired.
        weights: all of its weights, by path.
        residual: what the branches of a residual stream add to its second moment, as in
            `initialize`.
    """
    walk, deciding = _Walk(model, wiring, weights, residual), deciding_calls(wiring)
    if not deciding:
        return walk.run()
    walk.repeated = frozenset(deciding)
    walk.run()
    usual = {}
    for path, calls in deciding.items():
        if met := [walk.met[i] for i in calls.indices if walk.met.get(i, 0.0) > 0]:
            usual[path] = math.exp(sum(map(math.log, met)) / len(met)), calls.why
    return _Walk(model, wiring, weights, residual, usual).run()


class _Walk:
    """A walk over the calls of a model.

    Attributes:
        repeated: kernels whose every call is made to give what is asked of the first.
        met: second moments that reached such calls.
        usual: of kernels that are called more than once the second moment to choose for, and why.
    """

    def __init__(
        self,
        model: Any,
        wiring: Wiring,
        weights: Mapping[str, Weight],
        residual: Residual,
        usual: Mapping[str, tuple[float, str]] | None = None,
    ) -> None:
        self.wiring, self.weights, self.usual = wiring, weights, usual or {}
        self.repeated: frozenset[str] = frozenset()
        self.met: dict[int, float] = {}
        self.aims = find_aims(wiring)
        self.carrier = Carrier(model, wiring, weights)
        # What is said of calls that see nothing but what will change or the data decide: small
        # rows, which grow in the first steps, codes, which become what they stand for.
        self.passing: dict[int, str] = {}
        self.small_tables: set[str] = set()
        # Parts of the second moments asked for, behind kernels that are read transposed too.
        self.kept_small: dict[int, float] = {}
        self.ends = Ends(self.carrier, Shares(wiring, residual))
        self.shortcuts = {s.shortcut.kernel for s in wiring.sums if s.shortcut.kernel is not None}
        self.scores = score_parts(wiring) if isinstance(model, keras.Model) else {}
        self.logits = logit_shares(wiring) if isinstance(model, keras.Model) else {}
        self.heads = {c.index for c in wiring.heads} if isinstance(model, keras.Model) else set()

    @property
    def choices(self) -> dict[str, Choice]:
        return self.carrier.choices

    def run(self) -> dict[str, Choice]:
        for call in self.wiring.calls:
            if call.index not in self.carrier.signals:
                self._pass(call)
        return self.choices

    def _pass(self, call: Call) -> None:
        """Chooses what a call needs, and carries the signal through it."""
        self._choose(call)
        if call.is_map and self.repeated.intersection(call.weights[:1]):
            self._repeat(call, call.weights[0])
        aim = self.aims.get(call.index)
        self.carrier.carry(call, aim.activation if aim else None)
        if not call.is_map and len(call.signals) == 1 and call.signals[0] in self.kept_small:
            self.kept_small[call.index] = self.kept_small[call.signals[0]]
        said = self._passing(call)
        if call.kind is Kind.CONTRACTION and matrix_that_comes_in(self.wiring, call) is not None:
            said = _MATRIX
        if said and call.kind is not Kind.NORMALIZATION:
            self.passing[call.index] = said
        self._put_in_place(call)

    def _passing(self, call: Call) -> str:
        """Returns what is said of all that a call sees."""
        if call.kind is Kind.EMBEDDING and not call.backwards:
            return _SMALL_ROWS if self.small_tables.intersection(call.weights) else ""
        known = [self.passing.get(source, "") for source in call.signals]
        if known and all(known):
            return known[0]
        small = not {_SMALL_ROWS, _SOME_SMALL_ROWS}.isdisjoint(known)
        return _SOME_SMALL_ROWS if small else ""

    def _put_in_place(self, call: Call) -> None:
        """Carries the values of a straight-through sum; learned ones are to become what it gets."""
        if (straight := straight_through(self.wiring, call)) is None:
            return
        signals = self.carrier.signals
        values = signals[straight.values]
        if not (straight.is_learned or values.reason):
            signals[call.index] = values
            return
        given, made = signals[call.index].second_moment, values.second_moment
        if values.reason or not given / FAR < made < given * FAR:
            size = "not known" if values.reason else f"{made:.3g}"
            self.passing[call.index] = f"{_STRAIGHT} have second moment {size}"

    def _repeat(self, call: Call, path: str) -> None:
        """Notes what reaches a call of a kernel, and has it give what its first call is asked."""
        place = self.carrier.place(call)
        self.met[call.index] = given = (
            place.second_moment * place.reach.seen if place.given else 0.0
        )
        asked = self.choices[path].second_moment if path in self.choices else None
        if asked and given > 0:
            self.carrier.powers[call.index] = asked / given

    def _choose(self, call: Call) -> None:
        new = [
            (path, geometry)
            for path, geometry in self.carrier.kernels(call)
            if self.weights[path].chosen and path not in self.choices
        ]
        if call in self.ends and call.kind is Kind.NORMALIZATION:
            self._choose_scale(call)
        if not new:
            return
        if call.kind is Kind.EMBEDDING and not call.backwards:
            self._choose_table(call, *new[0])
        elif call.kind in (Kind.RECURRENT, Kind.CELL):
            self._choose_recurrent(call, new)
        elif call.kind is Kind.SEPARABLE:
            self._choose_separable(call, new)
        elif call.is_map:
            for path, geometry in new[:1]:
                self._choose_kernel(call, path, geometry)

    def _set(
        self,
        path: str,
        geometry: KernelGeometry,
        gain: float,
        note: str,
        q: float,
        *,
        table: bool = False,
        positive: bool = False,
        share: float = 1.0,
    ) -> None:
        """Notes a choice.

        Args:
            path: of the weight.
            geometry: its own.
            gain: the root of fan_in times the mean square for which what follows is drawn.
            note: why.
            q: the second moment of the output, for such a mean square.
            table: whether rows are looked up in it.
            positive: whether depthwise taps have positive sums.
            share: the mean square that it starts with, of that for which what follows is drawn.
        """
        if len(self.wiring.of(path)) > 1 and not table:
            _, why = self.usual.get(path, (0.0, "shared: by its first call"))
            note += f"; {why}"
        square = gain**2 / max(1.0, geometry.fan_in)
        gain *= math.sqrt(share)
        exact = 1.0 if math.isclose(gain, 1.0, rel_tol=1e-9) else gain
        if table:
            # Each row is drawn for itself.
            initializer, remark = XavierInit(exact) if exact else ZerosInit(), ""
        else:
            initializer, remark = drawn_by(geometry, exact, positive=positive)
        note += f"; {remark}" * bool(remark)
        self.choices[path] = Choice(initializer, note, q * share, square)

    def _choose_table(self, call: Call, path: str, geometry: KernelGeometry) -> None:
        if call.index in self.scores:
            variance = self.scores[call.index]
            note = f"embedding, {_SCORE}: second moment {variance:.3g}"
            self._set(path, geometry, variance**0.5, note, variance, table=True)
            return
        start = table_start(self.carrier, call, geometry, self._pass)
        square, share = start.square, start.share
        if share < 1:
            self.small_tables.add(path)
        self._set(path, geometry, start.gain, start.note, square, table=True, share=share)

    def _choose_recurrent(self, call: Call, new: Sequence[tuple[str, KernelGeometry]]) -> None:
        layer = self.wiring.subjects[call.index]
        cells = stacked(getattr(layer, "cell", layer))
        fed = [path for path, _ in self.carrier.fed(call)]
        for path, geometry in new:
            index = fed.index(path) if path in fed else -1
            given, reason = self._into_cell(call, index) if len(fed) == len(cells) else (0.0, "")
            if index >= 0 and given > 0:
                steps = self._summed_steps(call, cells[index])
                words = f"1 over {steps} steps" if steps > 1 else "1"
                note = f"recurrent: second moment {words} from {given:.3g}"
                note += _because(reason)
                if index == 0 and (said := self._passing(call)):
                    note += f"; {said}"
                self._set(path, geometry, (given * steps) ** -0.5, note, 1.0 / steps)
            elif index < 0:  # it is stepped through many times
                self._set(path, geometry, 1.0, "recurrent: gain 1", 1.0)
            else:
                note = "recurrent: gain 1; what reaches it inside the layer is not known"
                self._set(path, geometry, 1.0, note, 1.0)

    def _into_cell(self, call: Call, index: int) -> tuple[float, str]:
        """Returns the second moment that reaches a cell, and why it is not known where it is not.

        Args:
            call: of a recurrent layer.
            index: of the cell; cells that are stacked on others get what these make.
        """
        place = self.carrier.place(call)
        if not place.given:
            return 0.0, ""
        if index < 1:
            return place.given[0].second_moment, place.reason
        layer, powers = self.wiring.subjects[call.index], (place.power, *place.inner)[:index]
        cell = getattr(layer, "cell", layer)
        made = recurrent_output(cell, powers, place.given[0], call.index, last=False)
        return made.second_moment, made.reason

    def _summed_steps(self, call: Call, cell: Any) -> int:
        """Returns over how many steps the state of a cell sums its inputs; 1 for cells with gates.

        A plain cell whose recurrent kernel keeps the state adds up what comes in, as a stream adds
        up its branches. With inputs of second moment 1 in each step tanh settles at q = 1.46, where
        a step keeps 0.40 of a gradient's second moment; with 1 / 25 of it at 0.17 and 0.78. Gates
        forget.
        """
        shapes = self.wiring.shapes_into(call)
        if not isinstance(cell, keras.layers.SimpleRNNCell) or not shapes or len(shapes[0]) != 3:
            return 1
        return max(1, shapes[0][1] if self.carrier.sizes_known else _OPEN_STEPS)

    def _choose_separable(self, call: Call, new: Sequence[tuple[str, KernelGeometry]]) -> None:
        (first, one), *rest = new
        place = self.carrier.place(call)
        given = place.given[0].second_moment * place.reach.seen or 1.0
        if "depthwise" in first:
            # Nothing stands between the two kernels.
            self._set(first, one, given**-0.5, f"depthwise: second moment 1 from {given:.3g}", 1.0)
            given = 1.0
        for path, geometry in rest or [(first, one)] * ("depthwise" not in first):
            self._choose_kernel(call, path, geometry, given)

    def _choose_kernel(
        self, call: Call, path: str, geometry: KernelGeometry, given: float | None = None
    ) -> None:
        place = self.carrier.place(call)
        given = self._given(path, place) if given is None else given
        because = _because(place.reason)
        if (normalization := self._normalization(call)) is not None:
            # Its gradient goes as one over its scale, and the angle by which a step turns it as
            # one over the square: with 1 all turn alike, twice as far as with a ReLU's gain.
            name = normalization.path.split("/")[-1]
            note = f"{self.aims[call.index].why}: gain 1; {name} takes the scale away"
            self._set(path, geometry, 1.0, note, given)
            return
        aim = self._aim(call, given)
        if not given > 0:
            note = f"{aim.why}: gain 1; nothing but zeros reaches it"
            self._set(path, geometry, 1.0, note, 0.0)
            return
        reference, averaged = given, ""
        if (values := self._averaged(call)) > given:
            # Once attention sharpens, it averages less, and what was made up for would be too much.
            reference, averaged = values, "; what attention averages away is not made up for"
        elif (common := in_common(self.carrier, call)) is not None:
            averaged = f"; two places are taken to have {common:.0%} in common"
        part = self._part_of_tied(call, path, geometry)
        gain = math.sqrt(part * aim.variance / reference)
        note = f"{aim.why}: second moment {aim.variance:.3g} from {reference:.3g}, gain {gain:.4g}"
        one_channel = call.kind is Kind.DEPTHWISE and place.given
        positive = one_channel and keeps_sign(aim.activation, aim.variance, place.given[0])
        share = CODES if self.carrier.reads_category(call) else 1.0
        note += averaged + because + f"; of ones among zeros: {share} of that" * (share < 1)
        if share < 1:
            self.passing[call.index] = _SMALL_ROWS
        elif said := self._passing(call):
            note += f"; {said}"
        if part != 1:
            note += f"; {part:.3g} of that, since it is read transposed too"
        q, is_positive = gain**2 * given, bool(positive)
        self._set(path, geometry, gain, note, q, positive=is_positive, share=share)

    def _part_of_tied(self, call: Call, path: str, geometry: KernelGeometry) -> float:
        """Returns which part of a square a kernel gets that is read transposed too; else 1.

        So small that neither way makes a signal larger: a decoder gives back what its encoder was
        given. What other such kernels before it have kept small it does not make up for.
        """
        uses = summed_weights_of_uses(self.wiring, path, geometry)
        if len(uses) < 2:
            return 1.0
        before = self.kept_small.get(call.signals[0], 1.0) if call.signals else 1.0
        own = geometry.fan_in / max(uses)
        self.kept_small[call.index] = before * own
        return before * own

    def _given(self, path: str, place: Place) -> float:
        """Returns the second moment that a kernel is chosen for, over all of its calls."""
        given = place.second_moment * place.reach.seen if place.given else 1.0
        # The same but for rounding where all calls see the same.
        usual, _ = self.usual.get(path, (given, ""))
        return given if math.isclose(usual, given, rel_tol=_ALIKE) else usual

    def _normalization(self, call: Call) -> Call | None:
        """Returns what takes the scale of a kernel away, where nothing else is asked of it."""
        found = self.wiring.normalized_after(call)
        if not found or call.index in self.logits or call in self.ends:
            return None
        return found[0]

    def _aim(self, call: Call, given: float) -> Aim:
        """Returns what a kernel is to give, by its place in the model."""
        aim, index = self.aims[call.index], call.index
        if index in self.logits:
            why = "one of the heads of a sum, for the loss of a guess"
            return replace(aim, variance=HEAD * self.logits[index], why=why)
        if call in self.ends:
            return self.ends.aim(call, aim)
        if index in self.shortcuts:
            return replace(aim, variance=given, why="shortcut of a sum, as it comes in")
        if index in self.scores:
            return replace(aim, variance=self.scores[index], why=f"linear, {_SCORE}")
        if index in self.heads and aim.is_guess:
            return aim_of_head(self.carrier, call, aim)
        return aim

    def _averaged(self, call: Call) -> float:
        """Returns the second moment of the values that reach a kernel through attention, or 0."""
        values = [a.value for a in self.wiring.attentions if a.out == call.index]
        known = [self.carrier.signals[v].second_moment for v in values if v is not None]
        return max(known, default=0.0)

    def _choose_scale(self, call: Call) -> None:
        """Sets the scale of a normalization that ends a branch."""
        for path in call.weights:
            weight = self.weights[path]
            if not weight.is_scale or path in self.choices or path.endswith("beta"):
                continue
            aim = self.ends.aim(call, Aim(1.0, ""))
            value = math.sqrt(aim.variance)
            note = f"{aim.why}: scale {value:.4g}"
            initializer = ConstantInit(value) if value else ZerosInit()
            self.choices[path] = Choice(initializer, note, None, aim.variance)


def _because(reason: str) -> str:
    return f"; not understood: {reason}, so that 1 is assumed" if reason else ""
