"""Whether an initializer comes back when its model is loaded."""

from typing import Any

import keras


def why_not_savable(initializer: Any) -> str:
    """Returns why `initializer` will not survive saving and loading; empty if it will.

    Keras loads its own classes, and those that were registered; since 3.9 it imports no other
    module.
    """
    name = getattr(initializer, "__name__", type(initializer).__name__)
    if not hasattr(initializer, "get_config"):
        if getattr(initializer, "__module__", "").startswith("keras."):
            return ""
        if name == "<lambda>":
            return "a lambda is saved as code that Keras refuses to load"
        registered = keras.saving.get_registered_name(initializer)
        return "" if ">" in registered else f"the function {name!r} is not registered with Keras"
    cls = type(initializer)
    registered = keras.saving.get_registered_name(cls)
    if keras.saving.get_registered_object(registered) is None and (
        cls.__module__.partition(".")[0] != "keras"
    ):
        return f"the class {cls.__name__!r} is not registered with Keras"
    try:
        again = cls.from_config(initializer.get_config())
        if again.get_config() != initializer.get_config():
            return f"{cls.__name__}.from_config(get_config()) is another {cls.__name__}"
    except Exception as error:  # whatever the user's class raises is the evidence
        return f"{cls.__name__}.from_config(get_config()) fails: {error}"
    return ""
