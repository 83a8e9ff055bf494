"""Exact sums in a model that PEFT has loaded: one import in place of PEFT's own method.

    from superpose.peft import add_weighted_adapter

    add_weighted_adapter(model, ["math", "law"], [1.0, 0.5], "both")
    model.set_adapter("both")

Adapters are read from the model by the rules that read them from files, so that what cannot be
added is refused in the same words; no file lies in between. Needs torch and peft.
"""

from superpose.peft.weighted import add_weighted_adapter

__all__ = ["add_weighted_adapter"]
