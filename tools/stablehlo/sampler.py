"""Training crops made on the device, from an archive (archive.py) in its memory, with JAX.

    sample = make_sampler(batch, crop, archive.tables(), SamplerSettings())
    blurry, sharp = jax.jit(sample)(jax.random.key(0), tables)      # float32 [batch, crop, crop, 3] in [0, 1]

Every batch has the same number of crops of each kind:

    photos   sharp photographs averaged over the poses of a camera path, some with a moving foreground
    frames   the mean of consecutive frames; the ground truth is the middle one
    pairs    real pairs

Distributions are those of `srn/synthesis/shake.py` and `srn/synthesis/frames.py` with the same settings, with
three differences: the depth of the scene varies continuously instead of over three planes, photographs may be
downscaled first, and there is no JPEG compression. The middle pose is zero, so that the ground truth is
aligned with the blurry image.

The process runs with 64-bit types enabled: every array names its dtype.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from srn.errors import InputError
from srn.synthesis.settings import SYNTHESES as SHAKES
from srn.synthesis.settings import ShakeSettings

from .archive import MAX_WINDOW

F32, I32 = jnp.float32, jnp.int32
KINDS = ("photos", "frames", "pairs")
MIN_WINDOW = 7
WHITE = 0.9  # pixels whose mean over the channels is above this may be saturated


@dataclasses.dataclass(frozen=True)
class SamplerSettings(ShakeSettings):
    """The settings of the project's camera shakes, and those of the sampler alone.

    `min_poses`, `max_poses`, `jpeg` and `jpeg_probability` have no effect here. `foreground` is a fraction of
    the photos of each batch.

    Attributes:
      kind_weights: relative numbers of photos, frames and pairs; kinds that the archive lacks are left out.
      poses: number of views averaged, odd.
      shrink, shrink_probability: maximum factor by which a photograph is downscaled, uniform from 1.
    """

    kind_weights: tuple[float, float, float] = (0.5, 0.2, 0.3)
    poses: int = 25
    shrink: float = 1.7
    shrink_probability: float = 0.4

    def __post_init__(self):
        super().__post_init__()
        if self.poses < 3 or self.poses % 2 == 0:
            raise InputError(f"poses={self.poses}: must be odd and at least 3")


SYNTHESES = {name: SamplerSettings(**dataclasses.asdict(shake)) for name, shake in SHAKES.items()}


def counts_of_kinds(batch: int, tables: dict, settings: SamplerSettings) -> dict:
    """Number of crops of each kind in a batch: proportional to their weights, rounded."""
    items = {"photos": len(tables["photos"]), "frames": len(tables["windows"]), "pairs": len(tables["pairs"])}
    weights = np.array([weight if items[kind] else 0.0 for kind, weight in zip(KINDS, settings.kind_weights)])
    if weights.sum() <= 0:
        raise InputError("the archive has no data of the kinds with a weight above 0")
    exact = batch * weights / weights.sum()
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact)[: batch - counts.sum()]] += 1
    return dict(zip(KINDS, counts.tolist()))


def make_sampler(batch: int, crop: int, tables: dict, settings: SamplerSettings):
    """Returns `sample(key, tables) -> (blurry, sharp)`, both float32 [batch, crop, crop, 3] in [0, 1].

    A batch is a function of the key. Images smaller than a crop are mirrored at their edges.
    """
    counts = counts_of_kinds(batch, tables, settings)

    def sample(key, tables):
        key_of_kind = dict(zip(KINDS, jax.random.split(key, len(KINDS))))
        made = []
        for kind, make in zip(KINDS, (_photos, _frames, _pairs)):
            if counts[kind]:
                made.append(make(key_of_kind[kind], tables, counts[kind], crop, settings))
        blurry, sharp = (jnp.concatenate(side) for side in zip(*made))
        return _flip_and_rotate(jax.random.fold_in(key, 1), jnp.stack([blurry, sharp], axis=1))

    return sample


# The kinds. Each: (key, tables, number, crop, settings) -> blurry, sharp, float32 [number, crop, crop, 3].


def _pairs(key, tables, number, crop, settings):
    def one(key):
        of_pair, of_corner = jax.random.split(key)
        images = tables["pairs"][_choose(of_pair, len(tables["pairs"]))]
        top, left = _corner(of_corner, images[0], crop)
        return tuple(_unit(_cut(tables["pixels"], image, top, left, crop)) for image in images)

    return jax.vmap(one)(jax.random.split(key, number))


def _frames(key, tables, number, crop, settings):
    def one(key):
        of_window, of_length, of_corner, of_light, of_noise = jax.random.split(key, 5)
        start = tables["windows"][_choose(of_window, len(tables["windows"]))]
        images = jax.lax.dynamic_slice_in_dim(tables["frames"], start, MAX_WINDOW)
        length = MIN_WINDOW + 2 * _choose(of_length, (MAX_WINDOW - MIN_WINDOW) // 2 + 1)
        top, left = _corner(of_corner, images[0], crop)
        frames = _unit(jax.vmap(lambda image: _cut(tables["pixels"], image, top, left, crop))(images))
        gamma = _draw_gamma(of_light, settings)
        counts = (jnp.arange(MAX_WINDOW, dtype=I32) < length).astype(F32)[:, None, None, None]
        mean = jnp.sum(_light(frames, gamma) * counts, axis=0) / length.astype(F32)
        return _record(of_noise, _stored(mean, gamma), settings), frames[length // 2]

    return jax.vmap(one)(jax.random.split(key, number))


def _photos(key, tables, number, crop, settings):
    with_front = round(number * settings.foreground)
    keys = jax.random.split(key, number)
    made = []
    for part, has_front in ((keys[:with_front], True), (keys[with_front:], False)):
        if len(part):
            one = jax.vmap(lambda key, front=has_front: _shaken(key, tables, crop, settings, front))
            made.append(one(part))
    return tuple(jnp.concatenate(side) for side in zip(*made))


def _shaken(key, tables, crop, settings, has_front):
    """A photograph with camera shake: (blurry, sharp)."""
    keys = jax.random.split(key, 10)
    margin = int(np.ceil(0.75 * settings.max_length)) + 8
    sigma = settings.soften * jax.random.uniform(keys[9], dtype=F32)
    size = crop + 2 * margin
    gamma, gain = _draw_gamma(keys[0], settings), _draw_gain(keys[1], settings)
    scene = _softened(_photo_patch(keys[2], tables, size, settings), sigma, settings)
    scene = _raised_light(scene, gamma, gain)
    path = camera_path(keys[3], settings)
    field = _smooth_field(keys[4], 4, crop)
    depth = 1 + F32(settings.depth) * jnp.clip(field, -1, 1)
    if has_front:
        front = _softened(_photo_patch(keys[5], tables, size, settings), sigma, settings)
        front = _raised_light(front, gamma, gain)
        opacity = jax.nn.sigmoid((_smooth_field(keys[6], 6, size) - 0.7) * 12)[..., None]
        front = jnp.concatenate([front * opacity, opacity], axis=-1)
        own_path = path + camera_path(keys[7], settings)

    def view(pose):
        seen = warp(scene, path[pose], crop, depth)
        if not has_front:
            return seen
        layer = warp(front, own_path[pose], crop)
        return seen * (1 - layer[..., 3:]) + layer[..., :3]

    def expose(total, pose):
        return total + view(pose), None

    total, _ = jax.lax.scan(expose, jnp.zeros((crop, crop, 3), F32), jnp.arange(settings.poses, dtype=I32))
    blurry, sharp = (
        _stored(jnp.clip(light, 0, 1), gamma) for light in (total / settings.poses, view(settings.poses // 2))
    )
    return _record(keys[8], blurry, settings), sharp


def camera_path(key, settings: SamplerSettings):
    """Samples the motion of a hand-held camera, as `srn.synthesis.blur.camera_path` does.

    Returns float32 [poses, 4]: dx and dy in pixels, angle in radians, log zoom; zero in the middle pose.
    """
    time = jnp.linspace(-1, 1, settings.poses, dtype=F32)
    normal = jax.random.normal(jax.random.fold_in(key, 0), (7,), F32)
    uniform = jax.random.uniform(jax.random.fold_in(key, 1), (6,), F32)
    bend = F32(settings.bend)
    along = time + bend * (0.25 * normal[0] * time**2 + 0.15 * normal[1] * time**3)
    across = bend * 0.3 * normal[2] * time**2

    def tremor(size, cycles, phase):
        return (
            F32(0.06 * settings.tremor)
            * size
            * jnp.sin(jnp.pi * (1 + 2 * cycles) * time + 2 * jnp.pi * phase)
        )

    along, across = along + tremor(normal[3], *uniform[:2]), across + tremor(normal[4], *uniform[2:4])
    heading = 2 * jnp.pi * uniform[4]
    cosine, sine = jnp.cos(heading), jnp.sin(heading)
    stroke = jnp.stack([cosine * along - sine * across, sine * along + cosine * across], axis=1)
    length = _draw_length(uniform[5], settings)
    stroke = stroke * (length / jnp.sum(jnp.linalg.norm(jnp.diff(stroke, axis=0), axis=1)))
    turns = jnp.stack([settings.rotation * normal[5] * time, settings.zoom * normal[6] * time], axis=1)
    path = jnp.concatenate([stroke, turns], axis=1).astype(F32)
    return path - path[settings.poses // 2]


def _draw_length(uniform, settings):
    """The length of a path in pixels, from a number uniform in [0, 1)."""
    if settings.lengths == "uniform":
        return F32(settings.min_length) + F32(settings.max_length - settings.min_length) * uniform
    low, high = np.log(settings.min_length), np.log(settings.max_length)
    return jnp.exp(F32(low) + F32(high - low) * uniform)


def warp(patch, pose, crop, depth=None):
    """The view from `pose`: the central crop of `patch` [P, P, C], bilinear; edge pixels are repeated.

    Args:
      pose: [4], dx, dy, angle, log zoom.
      depth: [crop, crop], factor of dx and dy; None for 1.
    """
    size, channels = patch.shape[0], patch.shape[-1]
    dx, dy, angle, log_zoom = pose
    axis = jnp.arange(crop, dtype=F32) - F32((crop - 1) / 2)
    cosine, sine = jnp.exp(log_zoom) * jnp.cos(angle), jnp.exp(log_zoom) * jnp.sin(angle)
    near = F32(1) if depth is None else depth
    middle = F32((size - 1) / 2)
    x = jnp.clip(cosine * axis[None, :] - sine * axis[:, None] + dx * near + middle, 0, size - 1)
    y = jnp.clip(sine * axis[None, :] + cosine * axis[:, None] + dy * near + middle, 0, size - 1)
    left, top = (jnp.minimum(jnp.floor(position).astype(I32), size - 2) for position in (x, y))
    right_weight, bottom_weight = (x - left.astype(F32))[..., None], (y - top.astype(F32))[..., None]
    flat, first = patch.reshape(-1, channels), top * size + left

    def row(index):
        return flat[index] * (1 - right_weight) + flat[index + 1] * right_weight

    return row(first) * (1 - bottom_weight) + row(first + size) * bottom_weight


def _photo_patch(key, tables, size, settings):
    """A random square of a random photograph, sometimes downscaled: float32 [size, size, 3] in [0, 1]."""
    of_photo, of_corner, of_shrink, of_chance = jax.random.split(key, 4)
    image = tables["photos"][_choose(of_photo, len(tables["photos"]))]
    wide = int(np.ceil(size * settings.shrink))
    shrink = 1 + F32(settings.shrink - 1) * jax.random.uniform(of_shrink, dtype=F32)
    chosen = jax.random.bernoulli(of_chance, F32(settings.shrink_probability))
    # Not where the image would have to be mirrored to fill the square.
    room = jnp.minimum(image[1], image[2]).astype(F32) / size
    shrink = jnp.where(chosen, jnp.clip(room, 1, shrink), F32(1))
    top, left = _corner(of_corner, image, jnp.ceil(size * shrink).astype(I32))
    patch = _unit(_cut(tables["pixels"], image, top, left, wide))
    return _stretched(patch, size, 1 / shrink, "linear")


def _softened(patch, sigma, settings):
    """Blurs [P, P, 3] by a Gaussian of standard deviation `sigma` <= settings.soften, in pixels."""
    if not settings.soften:
        return patch
    radius = int(np.ceil(4 * settings.soften))
    distance = jnp.arange(-radius, radius + 1, dtype=F32)
    kernel = jnp.exp(-0.5 * (distance / jnp.maximum(sigma, F32(1e-3))) ** 2)
    kernel /= jnp.sum(kernel)
    for axis in (0, 1):
        pads = [(radius, radius) if axis == padded else (0, 0) for padded in range(3)]
        wider = jnp.pad(patch, pads, mode="symmetric")
        size = patch.shape[axis]
        shifted = [
            jax.lax.slice_in_dim(wider, start, start + size, axis=axis) for start in range(2 * radius + 1)
        ]
        patch = sum(weight * part for weight, part in zip(kernel, shifted))
    return patch


def _stretched(picture, size, scale, method):
    """The top left square of a resized image [P, P, ...]: float32 [size, size, ...]."""
    shape, scales = (size, size, *picture.shape[2:]), jnp.full(2, scale, F32)
    exactly = jax.lax.Precision.HIGHEST
    return jax.image.scale_and_translate(
        picture, shape, (0, 1), scales, jnp.zeros(2, F32), method, antialias=True, precision=exactly
    )


def _choose(key, number):
    """A random integer below `number`, int32."""
    return jax.random.randint(key, (), 0, number, I32)


def _corner(key, image, size):
    """Top and left of a random square in an image (first pixel, height, width); 0 where it is larger."""
    room = jnp.maximum(image[1:].astype(I32) - size, 0) + 1
    return jax.random.randint(key, (2,), 0, room, I32)


def _cut(pixels, image, top, left, size):
    """A square of an image, mirrored at its edges: uint8 [size, size, 3]."""
    first, height, width = image

    def mirrored(start, side):
        index = (start + jnp.arange(size, dtype=I32)) % (2 * side)
        return jnp.where(index < side, index, 2 * side - 1 - index)

    rows, columns = mirrored(top, height.astype(I32)), mirrored(left, width.astype(I32))
    return pixels[first + (rows[:, None] * width.astype(I32) + columns[None, :])]


def _flip_and_rotate(key, both):
    """Random flips and rotations of pairs [B, 2, N, N, 3], the same for both images: (blurry, sharp)."""
    choices = jax.random.bernoulli(key, F32(0.5), (3, both.shape[0], 1, 1, 1, 1))
    both = jnp.where(choices[0], both.swapaxes(2, 3), both)
    both = jnp.where(choices[1], both[:, :, ::-1], both)
    both = jnp.where(choices[2], both[:, :, :, ::-1], both)
    return both[:, 0], both[:, 1]


def _unit(pixels):
    return pixels.astype(F32) / 255


def _draw_gamma(key, settings):
    is_light = jax.random.bernoulli(key, F32(settings.gamma_probability))
    return jnp.where(is_light, F32(settings.gamma), F32(1))


def _draw_gain(key, settings):
    of_gain, of_chance = jax.random.split(key)
    gain = 1 + F32(settings.saturation - 1) * jax.random.uniform(of_gain, dtype=F32)
    return jnp.where(jax.random.bernoulli(of_chance, F32(settings.saturation_probability)), gain, F32(1))


def _light(stored, gamma):
    return jnp.maximum(stored, F32(1e-6)) ** gamma


def _stored(light, gamma):
    return jnp.maximum(light, F32(1e-12)) ** (1 / gamma)


def _raised_light(picture, gamma, gain):
    """Linear light of an image; nearly white pixels are brightened, up to `gain` times."""
    whiteness = jnp.clip((jnp.mean(picture, axis=-1, keepdims=True) - WHITE) / F32(1 - WHITE), 0, 1)
    return _light(picture * (1 + (gain - 1) * whiteness**2), gamma)


def _smooth_field(key, cells, size):
    """A smooth random map, about standard normal: float32 [size, size]."""
    coarse = jax.random.normal(key, (cells, cells), F32)
    return _stretched(coarse, size, size / cells, "cubic") * F32(1.3)


def _record(key, picture, settings):
    """Adds sensor noise and rounds to 8 bits."""
    of_size, of_noise = jax.random.split(key)
    deviation = F32(settings.noise) * jax.random.uniform(of_size, dtype=F32)
    is_noisy = jax.random.bernoulli(jax.random.fold_in(key, 2), F32(settings.noise_probability))
    deviation = jnp.where(is_noisy, deviation, F32(0))
    noisy = picture + deviation * jax.random.normal(of_noise, picture.shape, F32)
    return jnp.round(jnp.clip(noisy, 0, 1) * 255) / 255
