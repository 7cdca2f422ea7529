"""What is sent whole, what in tiles, and when a run ends, against a server that is made up."""

import numpy as np
import pytest

from srn.images import to_unit_range
from srn.serving.client import ServerError
from srn.serving.contract import MAX_PIXELS
from srn.serving.remote import RemoteRestorer


class MadeUp:
    """Restores everything to itself but what `refuse(pixels)` returns an error for."""

    def __init__(self, refuse, states=None):
        self.refuse, self.asked, self.closed, self._states = refuse, [], False, states

    def restore_image(self, image):
        return self._answer(image, image)

    def restore_tile(self, tile):
        return self._answer(tile, to_unit_range(tile))

    def states(self, attempts):
        if self._states is not None:
            raise self._states
        return {1: "AVAILABLE"}

    def close(self):
        self.closed = True

    def _answer(self, pixels, answer):
        self.asked.append(pixels.shape[:2])
        error = self.refuse(pixels)
        if error is not None:
            raise error
        return answer


def photograph(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("largest", [600, 400, 304])
def test_what_has_too_many_bytes_for_a_proxy_is_sent_in_ever_smaller_tiles(largest):
    def refuse(pixels):
        too_large = max(pixels.shape) > largest
        return ServerError("RESOURCE_EXHAUSTED", "HTTP 413", too_large=True) if too_large else None

    server, image = MadeUp(refuse), photograph(500, 700)
    restore = RemoteRestorer(server)

    np.testing.assert_array_equal(restore(image), image)

    refusals = sum(max(size) > largest for size in server.asked)
    assert server.asked[0] == (500, 700) and refusals < 8
    np.testing.assert_array_equal(restore(image), image)
    assert sum(max(size) > largest for size in server.asked) == refusals  # it is known by then


def test_a_server_that_takes_no_tile_at_all_is_an_error():
    server = MadeUp(lambda _: ServerError("RESOURCE_EXHAUSTED", "HTTP 413", too_large=True))

    with pytest.raises(ServerError, match="413"):
        RemoteRestorer(server)(photograph(500, 700))

    assert len(server.asked) < 9 and not server.closed


def test_the_limit_of_a_server_that_states_it_is_kept_to():
    message = (
        "image_bytes has too many pixels: 1 of 700x500, ..., is more than 90000 pixels; send it in tiles"
    )

    def refuse(pixels):
        return (
            ServerError("INVALID_ARGUMENT", message) if pixels.shape[0] * pixels.shape[1] > 100_000 else None
        )

    server, image = MadeUp(refuse), photograph(500, 700)

    np.testing.assert_array_equal(RemoteRestorer(server)(image), image)

    assert MAX_PIXELS > 500 * 700
    assert [size for size in server.asked if size[0] * size[1] > 100_000] == [(500, 700)]


@pytest.mark.parametrize(
    "code, message",
    [
        ("NOT_FOUND", "Servable not found for request: Latest(srn)"),
        ("UNAUTHENTICATED", "token expired"),
        ("PERMISSION_DENIED", "no"),
        ("UNIMPLEMENTED", "unknown service tensorflow.serving.PredictionService"),
        ("FAILED_PRECONDITION", 'Serving signature key "encoded" not found.'),
        ("INVALID_ARGUMENT", "input tensor alias not found in signature: image_bytes. Inputs expected: {x}"),
    ],
)
def test_what_the_next_photograph_would_meet_too_ends_the_run(code, message):
    server = MadeUp(lambda _: ServerError(code, message))
    restore = RemoteRestorer(server)

    for _ in range(3):
        with pytest.raises(ServerError, match=code):
            restore(photograph(20, 30))

    assert len(server.asked) == 1 and server.closed and restore.gone.code == code


@pytest.mark.parametrize(
    "code, message",
    [
        ("INVALID_ARGUMENT", "image_bytes is no PNG, JPEG or BMP file"),
        ("DEADLINE_EXCEEDED", "no answer in 300 s"),
        ("INTERNAL", "out of memory"),
        ("UNAVAILABLE", "busy"),
    ],
)
def test_what_concerns_one_photograph_does_not(code, message):
    server = MadeUp(lambda pixels: ServerError(code, message) if len(pixels) == 20 else None)
    restore = RemoteRestorer(server)

    with pytest.raises(ServerError, match=code):
        restore(photograph(20, 30))

    assert restore.gone is None
    np.testing.assert_array_equal(restore(photograph(21, 30)), photograph(21, 30))


@pytest.mark.parametrize("code, is_gone", [("UNAVAILABLE", True), ("UNIMPLEMENTED", False)])
def test_a_server_that_does_not_tell_its_state_is_gone_unless_it_never_does(code, is_gone):
    server = MadeUp(lambda _: ServerError("UNAVAILABLE", "broken"), ServerError(code, "no"))
    restore = RemoteRestorer(server)

    with pytest.raises(ServerError):
        restore(photograph(20, 30))

    assert (restore.gone is not None) == is_gone
