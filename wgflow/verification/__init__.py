"""Whether cases reproduce the numbers that they must.

`checking` computes the number of every check, `findings` holds what became of them and their table.
"""

from wgflow.verification.checking import VerificationProgress, verify
from wgflow.verification.findings import Result, Verification, check_name

__all__ = ["Result", "Verification", "VerificationProgress", "check_name", "verify"]
