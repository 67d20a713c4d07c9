"""Starts from data and from other models."""

from keras_inits._starts.calibrate import calibrate
from keras_inits._starts.calibration_report import CalibrationReport, CalibrationRow

__all__ = ["CalibrationReport", "CalibrationRow", "calibrate"]
