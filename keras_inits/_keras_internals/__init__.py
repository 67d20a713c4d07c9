"""Every use of what Keras does not promise to keep, each with a check and the versions tried.

`python scripts/test_versions.py` tries them again.
"""

from keras_inits._keras_internals.calls import (
    activations_through,
    asking,
    calls_through,
    functions_traced_anew,
    holding,
    keeping_graph,
    other_calls,
    symbolic_calls_through,
    variables_replaced,
)
from keras_inits._keras_internals.models import (
    all_layers,
    compile_arguments,
    forget_global_seed,
    global_seed_state,
    has_no_call,
    jit_by_default,
    moved_by_calls,
    of_keras,
    operation_callbacks,
    unlisted_variables,
    variable_index,
)
from keras_inits._keras_internals.names import made_up_name
from keras_inits._keras_internals.strings import (
    enter_strings,
    refuse_strings_in_keras_2,
    strings_are_custom_objects,
)
from keras_inits._keras_internals.tensors import (
    copy_mask,
    copy_tensor_notes,
    logits_of,
    mask_of,
    set_logits,
    unsafe_empty,
)

__all__ = [
    "activations_through",
    "all_layers",
    "asking",
    "calls_through",
    "compile_arguments",
    "copy_mask",
    "copy_tensor_notes",
    "enter_strings",
    "forget_global_seed",
    "functions_traced_anew",
    "global_seed_state",
    "has_no_call",
    "holding",
    "jit_by_default",
    "keeping_graph",
    "logits_of",
    "made_up_name",
    "mask_of",
    "moved_by_calls",
    "of_keras",
    "operation_callbacks",
    "other_calls",
    "refuse_strings_in_keras_2",
    "set_logits",
    "strings_are_custom_objects",
    "symbolic_calls_through",
    "unlisted_variables",
    "unsafe_empty",
    "variable_index",
    "variables_replaced",
]
