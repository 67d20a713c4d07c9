"""What is wrong with the weights that a model starts from."""

from keras_inits._audit.audit import audit
from keras_inits._audit.report import AuditReport

__all__ = ["AuditReport", "audit"]
