"""The command `srn-web`: a page to drop a photograph on, see it before and after, and download it.

Photographs are restored one at a time; those that wait are counted, and refused beyond a limit. Results are
kept in memory, a few of them and for minutes: no file is written. The page is served on this machine alone
unless another address is asked for.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import sys
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge
from werkzeug.routing import Map, Rule
from werkzeug.utils import secure_filename

import srn
from srn.command import DONE, exit_code_of, quiet_tensorflow
from srn.errors import WorkError
from srn.inference.formats.image import FormatError, Photograph
from srn.inference.machine import has_fast_bfloat16
from srn.inference.memory import choose_tile
from srn.inference.photographs import Parser, number_between
from srn.inference.planning import ENDING
from srn.inference.reading import decode_photograph
from srn.inference.writing import choose_format, encode_photograph, require_encodable
from srn.released import DEFAULT

NAME = "srn-web"
_PAGE = Path(__file__).parent / "templates" / "web.html"
_PREVIEW = 1600  # the longest side of the pictures on the page, in pixels
_KEPT, _MINUTES = 8, 10  # results in memory, and for how long
_OWN_HEADER = "X-Requested-With"  # no foreign page can send it unasked


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of one request.

    Attributes:
      megabytes: of a file.
      megapixels: of a photograph.
      waiting: photographs that wait for their turn; further ones are refused.
    """

    megabytes: float = 60
    megapixels: float = 60
    waiting: int = 8


@dataclasses.dataclass(frozen=True)
class _Result:
    name: str
    data: bytes
    before: bytes
    after: bytes
    until: float


class Page:
    """The WSGI application.

    Args:
      restore: uint8 or uint16, [H, W] or [H, W, 3] -> the same.
      limits: see there.
    """

    def __init__(self, restore: Callable[[np.ndarray], np.ndarray], limits: Limits | None = None):
        self._restore, self._limits = restore, limits or Limits()
        self._turn, self._places = threading.Lock(), threading.Semaphore(self._limits.waiting + 1)
        self._results: OrderedDict[str, _Result] = OrderedDict()
        self._results_lock = threading.Lock()
        self._routes = Map(
            [
                Rule("/", endpoint=self._page, methods=["GET"]),
                Rule("/restore", endpoint=self._restore_upload, methods=["POST"]),
                Rule("/<any(result, before, after):what>/<identity>", endpoint=self._send, methods=["GET"]),
            ]
        )

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers one request."""
        request = Request(environ)
        request.max_content_length = int(self._limits.megabytes * 1e6)
        try:
            answer, values = self._routes.bind_to_environ(environ).match()
            response = answer(request, **values)
        except HTTPException as error:
            response = _json({"error": error.description}, error.code or 500)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response(environ, start_response)

    def _page(self, request: Request) -> Response:
        return Response(_PAGE.read_text(encoding="utf-8"), mimetype="text/html")

    def _restore_upload(self, request: Request) -> Response:
        if _OWN_HEADER not in request.headers:
            return _json({"error": f"the header {_OWN_HEADER} is missing"}, 403)
        try:
            data = request.get_data()
        except RequestEntityTooLarge:
            return _json({"error": f"the file has more than {self._limits.megabytes:g} megabytes"}, 413)
        if not self._places.acquire(blocking=False):
            return _json({"error": "too many photographs are waiting; try again in some minutes"}, 503)
        try:
            return self._answer(data, PurePath(request.args.get("name", "photograph")).name)
        finally:
            self._places.release()

    def _answer(self, data, name) -> Response:
        try:
            with self._turn:
                start = time.perf_counter()
                photograph = decode_photograph(data, name, self._limits.megapixels)
                path = PurePath(name)
                form = choose_format(name, photograph)
                require_encodable(photograph, form)
                restored = dataclasses.replace(photograph, pixels=self._restore(photograph.pixels))
                encoded, notes = encode_photograph(restored, form)
                seconds = time.perf_counter() - start
        except (WorkError, FormatError) as error:
            return _json({"error": str(error)}, 422)
        except MemoryError:
            return _json({"error": f"{name}: does not fit into memory"}, 422)
        suffix = path.suffix if path.suffix.lower() in form.suffixes else form.suffixes[0]
        result = _Result(
            name=f"{path.stem}{ENDING}{suffix}",
            data=encoded,
            before=_preview(photograph),
            after=_preview(restored),
            until=time.monotonic() + 60 * _MINUTES,
        )
        height, width = photograph.pixels.shape[:2]
        return _json(
            {
                "id": self._keep(result),
                "name": result.name,
                "notes": [*photograph.notes, *notes],
                "megapixels": height * width / 1e6,
                "seconds": seconds,
            }
        )

    def _keep(self, result: _Result) -> str:
        identity = uuid.uuid4().hex
        with self._results_lock:
            self._results[identity] = result
            now = time.monotonic()
            for old in [key for key, each in self._results.items() if each.until < now]:
                del self._results[old]
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)
        return identity

    def _send(self, request: Request, what: str, identity: str) -> Response:
        with self._results_lock:
            result = self._results.get(identity)
        if result is None or result.until < time.monotonic():
            raise NotFound("this photograph is not kept any more; restore it again")
        if what != "result":
            return Response(getattr(result, what), mimetype="image/jpeg")
        response = Response(result.data, mimetype="application/octet-stream")
        plain = secure_filename(result.name) or "photograph"
        response.headers.set("Content-Disposition", "attachment", filename=plain)
        return response


def _preview(photograph: Photograph) -> bytes:
    """A JPEG that every browser shows, with the colour profile."""
    pixels = photograph.pixels
    image = Image.fromarray(pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))
    image.thumbnail((_PREVIEW, _PREVIEW))
    buffer = io.BytesIO()
    in_colour = photograph.spread or pixels.ndim == 3
    profile = photograph.metadata.icc if in_colour else b""
    image.convert("RGB").save(buffer, "JPEG", quality=92, icc_profile=profile or None)
    return buffer.getvalue()


def _json(values: dict, status: int = 200) -> Response:
    return Response(json.dumps(values), status, mimetype="application/json")


def main(argv: list[str] | None = None) -> int:
    """Serves the page until it is interrupted; returns the exit code."""
    arguments = _parser().parse_args(argv)
    quiet_tensorflow()
    return exit_code_of(lambda: _serve(arguments), NAME)


def _serve(arguments: argparse.Namespace) -> int:
    from werkzeug.serving import make_server

    precision = "bfloat16" if has_fast_bfloat16() else "float32"
    deblurrer = srn.Deblurrer(arguments.ckpt, precision=precision, keep_graph=True)

    def restore(pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        return deblurrer(pixels, tile=choose_tile(height, width, deblurrer.config, deblurrer.compute_dtype))

    limits = Limits(arguments.max_megabytes, arguments.max_megapixels, arguments.max_waiting)
    server = make_server(arguments.host, arguments.port, Page(restore, limits), threaded=True)
    print(f"{NAME}: http://{arguments.host}:{server.port}/ (Ctrl-C ends it)", flush=True)
    server.serve_forever()
    return DONE


def _parser() -> Parser:
    parser = Parser(prog=NAME, description="A page that restores blurry photographs.")
    limits = Limits()
    parser.add_argument("--ckpt", default=DEFAULT, help="weights: a released name or a path (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (%(default)s)")
    for name, kind, highest, default, text in (
        ("port", int, 65535, 7860, "port; 0: any free one (%(default)s)"),
        ("max_megabytes", float, 1e4, limits.megabytes, "of a file (%(default)g)"),
        ("max_megapixels", float, 1e4, limits.megapixels, "of a photograph (%(default)g)"),
        ("max_waiting", int, 1000, limits.waiting, "photographs in the queue (%(default)s)"),
    ):
        parser.add_argument(f"--{name}", type=number_between(kind, 0, highest), default=default, help=text)
    parser.add_argument("--version", action="version", version=f"%(prog)s {srn.__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
