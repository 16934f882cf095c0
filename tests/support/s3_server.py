"""An S3 on loopback, by moto: real requests of pyarrow's real client, to a server that can be stopped and started."""

import contextlib
import itertools
import logging
import os

import pyarrow.fs as fs
import pytest
from moto.server import ThreadedMotoServer

from tune_at.store.place import to_place

SECRET = "not-a-secret-5f1c8e"
BUCKET = "sweeps"
NUMBERS = itertools.count()


class S3Server:
    """moto keeps the objects in this process, so they survive a stop and start."""

    def __init__(self):
        self.port = 0
        self.server = None

    def start(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def stop(self):
        self.server.stop()

    @contextlib.contextmanager
    def stopped(self):
        self.stop()
        try:
            yield
        finally:
            self.start()

    @property
    def filesystem(self):
        return fs.S3FileSystem(endpoint_override=self.endpoint, region="us-east-1", allow_bucket_creation=True)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def uri(self, path=""):
        """The address of a path, by default of a fresh prefix."""
        path = path or f"{BUCKET}/prefix-{next(NUMBERS)}"
        return f"s3://{path}?endpoint_override={self.endpoint}&region=us-east-1"

    def objects(self, prefix):
        """Names below a prefix and their contents."""
        base = to_place(prefix).path
        found = self.filesystem.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
        names = [info.path for info in found if info.type == fs.FileType.File]
        return {name.removeprefix(base + "/"): self.filesystem.open_input_file(name).readall() for name in names}


def without_aws(environment):
    """An environment in which there are no credentials, and no metadata service is asked for any."""
    kept = {key: value for key, value in environment.items() if not key.startswith("AWS_")}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/", "AWS_CONFIG_FILE": "/"}


@pytest.fixture(scope="session")
def s3():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        for key in [key for key in os.environ if key.startswith("AWS_")]:
            patch.delenv(key)
        for key, value in without_aws({}).items():
            patch.setenv(key, value)
        patch.setenv("AWS_ACCESS_KEY_ID", "tune-at-tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        server = S3Server()
        server.start()
        server.filesystem.create_dir(BUCKET)
        yield server
        server.stop()
