"""Starts from data and from other models."""

from keras_inits._starts.calibrate import calibrate
from keras_inits._starts.calibration_report import CalibrationReport, CalibrationRow
from keras_inits._starts.output_bias import fit_output_bias
from keras_inits._starts.output_bias_report import OutputBiasReport, OutputBiasRow
from keras_inits._starts.portable import PortableReport, PortableRow, portable
from keras_inits._starts.pretrain import pretrain
from keras_inits._starts.pretrain_report import PretrainReport, PretrainRow
from keras_inits._starts.skipping import Skipped, SkipReport, skip_initialization
from keras_inits._starts.vocabulary import VocabularyReport, extend_vocabulary
from keras_inits._starts.warm_start import warm_start
from keras_inits._starts.warm_start_report import WarmStartReport, WarmStartRow

__all__ = [
    "CalibrationReport",
    "CalibrationRow",
    "OutputBiasReport",
    "OutputBiasRow",
    "PortableReport",
    "PortableRow",
    "PretrainReport",
    "PretrainRow",
    "SkipReport",
    "Skipped",
    "VocabularyReport",
    "WarmStartReport",
    "WarmStartRow",
    "calibrate",
    "extend_vocabulary",
    "fit_output_bias",
    "portable",
    "pretrain",
    "skip_initialization",
    "warm_start",
]
