"""Where one reading of a pair ends and the next begins, each border with its reason.

Figures are continuous and readings are words, so that some pair lies on each border. They stand
where few real pairs are seen and where what to do changes: not at 0.1, where adapters trained
apart on one kind of text lie. What is said beside the word (figures, energy) has no borders.
"""

from __future__ import annotations

__all__ = [
    "CANCELLING",
    "CLEAR_OF_CHANCE",
    "CONTAINED",
    "CONTAINED_CHANCE",
    "COPY",
    "CROWDED",
    "CROWDED_CHANCE",
    "CROWDED_SPREAD",
    "DROWNED",
    "EQUAL_NORMS",
    "EXPLAINED",
    "FAINT",
    "FEW",
    "LARGE",
    "MENTIONED",
    "MIXED",
    "NEARLY_COPY",
    "ONE_RUN",
    "ONE_RUN_INPUTS",
    "SAME_SIGN",
    "SPREAD",
    "STANDS_OUT",
    "STANDS_OUT_CHANCE",
    "STANDS_OUT_LEAST",
    "SYSTEMATIC",
    "UNEVEN",
]

CLEAR_OF_CHANCE = 3.5
"""Standard deviations from which a cosine, or the modules' mean cosine, is more than chance. Of
unrelated pairs 1 in 2,000 is beyond, were they Gaussian; with one module of rank 1, where they are
farthest from it (a product of two Gaussians), 1 in 90."""

SPREAD = 6.0
"""And standard deviations for the mean of the squared module cosines in squared floors, which sees
modules that agree and oppose. Chance gives 1 with a deviation of at most sqrt(8 / modules): the
square of a product of two Gaussians has variance 8, of anything of higher rank less."""

SYSTEMATIC = 0.01
"""Probability by a sign test below which it is no chance that so many modules agree in sign. It
takes eight modules of one sign, and knows nothing of floors, which are too low for trained deltas
whose sides are concentrated on few inputs and outputs."""

SAME_SIGN = 0.9
"""Share of modules of one sign from which "nearly every module" is said."""

COPY = 0.9999
"""Cosine from which two adapters are one, or one times a number: what is left, 1.4 % of the norm,
is three times what rounding factors to bfloat16 leaves."""

EQUAL_NORMS = 1.01
"""Norm ratio up to which a copy is the same size: rounding to bfloat16 stays below a tenth of the
excess over 1."""

NEARLY_COPY = 0.95
"""Cosine from which two are nearly one: nine tenths of the energy of either lies along the other,
and the sum is twice either to within a sixth."""

ONE_RUN = 0.5
"""Cosine from which, with common inputs, one training is the likely cause: what else starts from
one A and learns something else stays far below (docs/mathematics.md)."""

ONE_RUN_INPUTS = 0.5
"""And input overlap: one training keeps the inputs that its A reads."""

CANCELLING = -0.5
"""Cosine from which two cancel: at equal norms the sum has half the energy of its parts or less."""

LARGE = 0.25
"""Size of a cosine that is large: at equal norms a quarter more energy, or less; the task weights
that give the energy of unrelated adapters back are then below 0.9."""

FAINT = 0.005
"""Size of a cosine up to which it is faint, however sure: at equal norms half a percent of the
energy. Adapters of one base trained on different questions lie below it, two trained on the same
questions from different starts at three times it (docs/mathematics.md)."""

DROWNED = 5.0
"""Norm ratio from which the smaller adapter is called drowned: its share of the energy of an
orthogonal sum is 1 / (1 + 5^2), below 4 %."""

CROWDED = 0.25
"""Output overlap that is called crowded: a quarter of the smaller output space is common."""

CROWDED_CHANCE = 3.0
"""And so many times its chance value, which is large itself where d is small."""

CROWDED_SPREAD = 4.0
"""And so many standard deviations above it, which are large themselves with few modules."""

CONTAINED = 0.99
"""Overlap of both sides in every module from which all that one adapter reads and writes lies
within the other, as the factors of a sum's part do."""

CONTAINED_CHANCE = 0.5
"""Chance overlap up to which that is evidence: a side as large as its space holds every other."""

STANDS_OUT = 5.0
"""Times the median module's cosine (or floor, where that is larger) from which a module stands
out."""

STANDS_OUT_LEAST = 0.1
"""And the cosine that it must have: less changes its own part of the sum by less than a tenth."""

STANDS_OUT_CHANCE = 8.0
"""And multiples of its own floor: among hundreds of modules of rank 1 chance reaches 8 once in a
hundred pairs."""

FEW = 0.2
"""Share of the modules up to which those that stand out are few; more are a direction."""

MENTIONED = 0.1
"""Share of what a pair has in common from which modules that stand out are named."""

UNEVEN = 0.5
"""Share of what a pair has in common that few modules must carry to be what the pair is called."""

MIXED = 1.0 / 3.0
"""Mean of the module cosines in their root mean square up to which they agree in some modules and
oppose in others: at one size, less than two in three of one sign."""

EXPLAINED = 2.0
"""Times what their overlaps explain, up to which cosines of both signs are put down to these: two
that write to the same outputs have larger cosines by chance, of either sign."""
