"""`import keras_inits` against `import keras`, each in fresh processes, in turn.

python benchmarks/import_time.py
"""

import subprocess
import sys

from timing import paired_ratio


def fresh_import(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)


def main() -> None:
    ours, keras, ratio = paired_ratio(
        lambda: fresh_import("keras_inits"), lambda: fresh_import("keras"), repeats=15
    )
    print(f"import keras_inits {ours:.2f} s, import keras {keras:.2f} s: {ratio:.3f} times")


if __name__ == "__main__":
    main()
