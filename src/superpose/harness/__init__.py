"""Sums in lm-evaluation-harness: the model `superpose`, by an entry point or by importing this.

    python -m superpose.harness run --model superpose --model_args base=BASE,sum=A+0.5*B --tasks T

is `lm_eval run ...` with that model in its registry. Versions of the harness that know plugins
(after 0.4.13) find it by themselves. Needs lm-eval, torch and transformers.
"""

from superpose.harness.model import SuperposeLM, evaluate_sums

__all__ = ["SuperposeLM", "evaluate_sums"]
