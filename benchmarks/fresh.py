"""What `audit` and `diagnose` say of published nets as they come from Keras and Keras Hub.

    python benchmarks/fresh.py [--nets ResNet50 hub/GPT2] [--seeds 1] [--batch 8] [--kept FILE]
                               [--minutes 30]

Every net of `keras.applications`, without weights, at 96 x 96 pixels and ten classes, and every
backbone of Keras Hub that can be made without a download (those of this repository's tests, six
layers a stack and wider), each judged without data: `audit(model)` and
`diagnose(model, confirm=True)` on standard input. A row says what each found and where, how
many findings of the kind there are, and of how many the remedy made it better when it was applied;
then the seconds of both. Large nets come last. With `--kept FILE` what has been judged is kept
there, and a second call goes on; `--minutes` ends a call in time.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import keras
from auto import print_header, print_row
from auto_kernels import APPLICATIONS, SHAPES, backbone, backbones
from kept import Kept

import keras_inits
from keras_inits._diagnose import standard_input

# By the seconds that they take; all others take less.
LARGE = (
    *("Xception", "ResNet50", "ResNet50V2", "DenseNet121", "DenseNet169", "DenseNet201"),
    *("InceptionV3", "NASNetMobile", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2S"),
    *("EfficientNetB3", "EfficientNetB4", "ConvNeXtTiny", "ConvNeXtSmall", "VGG16", "VGG19"),
    *("ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "InceptionResNetV2"),
    *("EfficientNetB5", "EfficientNetV2M", "ConvNeXtBase", "EfficientNetB6", "EfficientNetV2L"),
    *("EfficientNetB7", "ConvNeXtLarge", "NASNetLarge", "ConvNeXtXLarge"),
)


def application(name):
    size = (96, 96, 3)
    return getattr(keras.applications, name)(weights=None, input_shape=size, classes=10), None


def hub_net(make, shapes):
    """Returns a backbone, and what it is given where open sizes have to fit each other."""
    model, data = backbone(make, shapes)
    return model, next(iter(data.values())) if shapes else None


def judged(make, seed, batch):
    """Returns what was found of a net on a batch of so many samples, and the seconds of each."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model, x = make()
    begun = time.perf_counter()
    audit = keras_inits.audit(model)
    between = time.perf_counter()
    x = standard_input(model, batch, seed) if x is None else x
    report = keras_inits.diagnose(model, x, confirm=True, seed=seed)
    ended = time.perf_counter()
    return {
        "audit": [_plain(finding) for finding in audit.findings],
        "diagnose": [_plain(finding) for finding in report.findings],
        "calls": len(report.layers),
        "seconds": [between - begun, ended - between],
    }


def _plain(finding):
    return {
        "kind": finding.kind,
        "where": finding.where,
        "evidence": finding.evidence,
        "confirmed": finding.numbers.get("confirmed"),
    }


def words(seeds, which):
    """Returns a cell: each kind of finding, the first place, how many more, how many confirmed."""
    found = [finding for seed in seeds for finding in seed[which]]
    cells = []
    for kind, count in Counter(finding["kind"] for finding in found).items():
        same = [finding for finding in found if finding["kind"] == kind]
        more = f" and {count - 1} more" if count > 1 else ""
        confirmed = sum(bool(finding["confirmed"]) for finding in same)
        proof = f" ({confirmed} confirmed)" if which == "diagnose" else ""
        cells.append(f"{kind}: {', '.join(same[0]['where'][:2])}{more}{proof}")
    return "; ".join(cells) or "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nets", nargs="*", help="all if none are named")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--kept", type=Path, help="a file of what has been judged")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no net after")
    arguments = parser.parse_args()
    kept, hub, begun = Kept(arguments.kept), backbones(), time.monotonic()
    small = [name for name in APPLICATIONS if name not in LARGE]
    names = arguments.nets or [*hub, *small, *(name for name in LARGE if name in APPLICATIONS)]
    print_header("net", ["calls", "audit", "diagnose", "seconds"])
    alarmed = 0
    for name in names:
        if time.monotonic() - begun > 60 * arguments.minutes:
            break

        def measure(seed, name=name):
            if name in hub:
                return judged(
                    lambda: hub_net(hub[name], SHAPES.get(name, {})), seed, arguments.batch
                )
            return judged(lambda: application(name), seed, arguments.batch)

        seeds = kept.of_seeds((name,), arguments.seeds, measure)
        if isinstance(seeds, str):
            print_row(name, ["", "", seeds, ""])
            continue
        alarmed += any(seed["audit"] or seed["diagnose"] for seed in seeds)
        seconds = " + ".join(f"{sum(s['seconds'][i] for s in seeds):.1f}" for i in (0, 1))
        cells = [words(seeds, which) for which in ("audit", "diagnose")]
        print_row(name, [seeds[0]["calls"], *cells, seconds])
    print(f"\n{alarmed} of {len(names)} nets with a finding.")


if __name__ == "__main__":
    main()
