"""An S3 on loopback, by moto: real requests of pyarrow's real client, to a server that can be stopped and started."""

import contextlib
import itertools
import logging
import os
import threading

import pyarrow.fs as fs
import pytest
from moto.moto_server.threaded_moto_server import MotoRequestHandler, ThreadedMotoServer
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tune_at.store.place import to_place

SECRET = "not-a-secret-5f1c8e"
BUCKET = "sweeps"
NUMBERS = itertools.count()


class Server(ThreadedMotoServer):
    """Calls `before` with the method and path of each request, in the request's thread."""

    def __init__(self, port, before):
        super().__init__(ip_address="127.0.0.1", port=port, verbose=False)
        self.before = before

    def _server_entry(self):
        app = DomainDispatcherApplication(create_backend_app)

        def watched(environ, start_response):
            self.before(environ["REQUEST_METHOD"], environ["PATH_INFO"])
            return app(environ, start_response)

        self._server = make_server("127.0.0.1", self._port, watched, True, request_handler=MotoRequestHandler)
        self._server_ready_event.set()
        self._server.serve_forever()


class Stop:
    """What happens when something is first written under a name with `part` in it."""

    def __init__(self, part, action):
        self.part, self.action = part, action
        self.claimed, self.reached, self.over = threading.Lock(), threading.Event(), threading.Event()


class S3Server:
    """moto keeps the objects in this process, so they survive a stop and start."""

    def __init__(self):
        self.port = 0
        self.server = None
        self.awaited = None

    def start(self):
        self.server = Server(self.port, self._before)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def stop(self):
        self.server.stop()

    def _before(self, method, path):
        stop = self.awaited
        if stop is None:
            return
        if method in ("PUT", "POST") and stop.part in path and stop.claimed.acquire(blocking=False):
            # The loop that accepts requests ends and closes its socket; this thread is not the loop's.
            stop.action()
            stop.reached.set()
        if stop.claimed.locked():
            stop.over.wait()
            if stop.action == self.stop:
                raise ConnectionAbortedError

    @contextlib.contextmanager
    def down_at(self, part):
        """Goes down when something is first written under a name with `part` in it; the block begins then."""
        with self._at(part, self.stop):
            yield
        self.start()

    @contextlib.contextmanager
    def held_at(self, part):
        """Answers nothing from then on, for the block."""
        with self._at(part, lambda: None):
            yield

    @contextlib.contextmanager
    def _at(self, part, action):
        stop = self.awaited = Stop(part, action)
        if not stop.reached.wait(600):
            raise TimeoutError(f"{part} was not written")
        try:
            yield
        finally:
            self.awaited = None
            stop.over.set()

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
