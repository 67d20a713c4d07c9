"""Starts from data and from other models."""

from keras_inits._starts.calibrate import calibrate
from keras_inits._starts.calibration_report import CalibrationReport, CalibrationRow
from keras_inits._starts.output_bias import OutputBiasReport, OutputBiasRow, fit_output_bias

__all__ = [
    "CalibrationReport",
    "CalibrationRow",
    "OutputBiasReport",
    "OutputBiasRow",
    "calibrate",
    "fit_output_bias",
]
