"""What is wrong with the weights that a model starts from."""

from keras_inits.auditing.audit import audit
from keras_inits.auditing.report import AuditReport, Finding

__all__ = ["AuditReport", "Finding", "audit"]
