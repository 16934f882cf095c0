"""Whether there are any credentials for S3, found out within a second.

The AWS library asks a virtual machine's metadata service when it finds none elsewhere, and where nobody answers it
takes its time: 14 s, measured with pyarrow 26. So it is asked first whether anybody would answer.
"""

import http.client
import os
from pathlib import Path
from urllib.parse import urlsplit

from tune_at.errors import UserError

METADATA_SECONDS = 1.0
"""Time that the metadata service has to answer."""

METADATA_ADDRESS = "http://169.254.169.254"


def require_s3_credentials() -> None:
    """Raise `UserError` if the AWS library would find no credentials. Reads none of them itself."""
    if not (_in_environment() or _in_files() or _has_metadata()):
        raise UserError("s3://", "there are no AWS credentials", credentials_remedy("s3"))


def credentials_remedy(scheme: str) -> str:
    """Where credentials belong."""
    if scheme == "gs":
        return "let GOOGLE_APPLICATION_CREDENTIALS name a key file, or run `gcloud auth application-default login`"
    return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or use a profile or a role"


def _in_environment() -> bool:
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    container = "AWS_CONTAINER_CREDENTIALS"
    others = ("AWS_WEB_IDENTITY_TOKEN_FILE", f"{container}_RELATIVE_URI", f"{container}_FULL_URI")
    return all(os.environ.get(key) for key in keys) or any(os.environ.get(key) for key in others)


def _in_files() -> bool:
    home = Path(os.environ.get("HOME") or "/")
    files = (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config"))
    return any(Path(os.environ.get(variable) or home / ".aws" / name).is_file() for variable, name in files)


def _has_metadata() -> bool:
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    found = urlsplit(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or METADATA_ADDRESS)
    connection = http.client.HTTPConnection(found.hostname or "", found.port or 80, timeout=METADATA_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse()  # any answer: without a token it is a refusal
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
