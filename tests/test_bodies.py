"""Rigid bodies: the mechanics against closed forms, the painter against geometry, and scenes that agree with both."""

import math
import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from reasound.data.scenes import bodies as rigid
from reasound.data.scenes import mechanics
from reasound.data.scenes.bodies import stage
from reasound.data.scenes.mechanics import GRAVITY, MATERIALS, STEP, Body, hits, simulate
from reasound.data.scenes.painter import Camera, Look, Painter, Shape, Stage
from reasound.data.scenes.truth import EDGE_PAN, FPS, HEIGHT, WIDTH
from reasound.errors import UserError
from reasound.plan import Plan

CAMERA = Camera((0.0, -4.0, 1.0), (0.0, 0.0, 1.0), 1.2)
ROOM = Stage("tiles", (0.7, 0.7, 0.7), 3.0, (0.8, 0.8, 0.8), (0.6, 0.6, 0.6), (-0.4, -0.6, 1.2))
RED = Look("rubber", (0.9, 0.1, 0.1))
BALL = Shape("sphere", (0.15, 0.15, 0.15))
UPRIGHT = np.eye(3)[None]


class Heldout:
    """Instead of the recordings: one of every class."""

    def classes(self):
        return tuple(made.sound_class for made in MATERIALS.values())

    def recording(self, sound_class, rng):
        material = next(m for m, made in MATERIALS.items() if made.sound_class == sound_class)
        return SimpleNamespace(captions=(f"a {material} hit",), sound_class=sound_class, material=material)


@pytest.fixture
def mujoco():
    return pytest.importorskip("mujoco", reason="MuJoCo moves the bodies (extra: scenes)")


# The mechanics.


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("height", [0.3, 1.2])
def test_a_falling_ball_lands_when_galileo_says(mujoco, material, height):
    ball = Body(BALL, material, (0, 0, 0.15 + height), "it", release=0.25)
    first = hits(simulate([ball], 1.0), [ball])[0]
    assert first.time == pytest.approx(0.25 + math.sqrt(2 * height / GRAVITY), abs=0.002)
    assert first.pair == (0, 1) and first.sounding == 0


@pytest.mark.parametrize("material", MATERIALS)
def test_impulse_is_the_change_of_momentum(mujoco, material):
    ball = Body(BALL, material, (0, 0, 1.15), "it", release=0.1)
    run = simulate([ball], 1.5)
    first = hits(run, [ball])[0]
    start, span = round(first.time / STEP), round(mechanics.WINDOW / STEP)
    speed = np.diff(run.places[:, 0, 2]) / STEP
    change = ball.mass * (speed[start + span - 1] - speed[start - 1])
    weight = ball.mass * GRAVITY * mechanics.WINDOW
    assert first.impulse == pytest.approx(change + weight, rel=1e-3)
    landing = ball.mass * math.sqrt(2 * GRAVITY * 1.0)
    assert landing < first.impulse < 2 * landing + weight  # it bounces, and not higher than it fell


def test_all_impulses_over_a_fall_carry_the_weight(mujoco):
    # From rest to rest: the floor gave back what gravity took.
    block = Body(
        Shape("box", (0.1, 0.15, 0.2)), "wood", (0, 0, 0.9), "it", turn=(0.9, 0.3, 0.3, 0.1), release=0.1
    )
    run = simulate([block], 3.0)
    assert run.forces.sum() * STEP == pytest.approx(block.mass * GRAVITY * (3.0 - 0.1), rel=1e-3)


def test_mass_is_density_times_volume(mujoco):
    for shape, volume in [
        (BALL, 4 / 3 * math.pi * 0.15**3),
        (Shape("box", (0.1, 0.2, 0.3)), 0.048),
        (Shape("cylinder", (0.1, 0.1, 0.3)), math.pi * 0.01 * 0.6),
    ]:
        body = Body(shape, "stone", (0, 0, 1))
        assert body.mass == pytest.approx(1600 * volume)
        model = mujoco.MjModel.from_xml_string(mechanics._mjcf([body], math.inf))
        assert model.body_mass[1] == pytest.approx(body.mass)


def test_what_rests_is_not_heard(mujoco):
    blocks = [
        Body(Shape("box", (0.14,) * 3), "stone", (0.01 * k, 0, 0.14 + 0.28 * k), "it", held=False)
        for k in range(3)
    ]
    assert hits(simulate(blocks, 1.0), blocks) == []


def test_the_one_that_rings_is_heard_and_momentum_is_kept(mujoco):
    # Two balls in free flight: what one loses the other gains, and it is the metal that sounds.
    pair = [
        Body(BALL, "wood", (-0.5, 0, 5), "wood", velocity=(1, 0, 0), release=0.05),
        Body(BALL, "metal", (0.5, 0, 5), "metal", velocity=(-1, 0, 0), release=0.05),
    ]
    run = simulate(pair, 0.8)
    (hit,) = hits(run, pair)
    assert hit.time == pytest.approx(0.05 + 0.35, abs=0.002)  # 0.7 m between their skins, at 2 m/s
    assert hit.sounding == 1 and hit.pair == (0, 1)
    speed = np.diff(run.places[:, :, 0], axis=0)[-1] / STEP
    assert pair[0].mass * (1 - speed[0]) == pytest.approx(hit.impulse, rel=1e-3)
    assert pair[1].mass * (speed[1] + 1) == pytest.approx(hit.impulse, rel=1e-3)


def test_a_slap_counts_though_an_edge_was_on_the_floor(mujoco):
    plank = Body(
        Shape("box", (0.04, 0.15, 0.35)), "wood", (0, 0, 0.35), "it", spin=(0, 1.5, 0),
        velocity=(1.5 * 0.35, 0, 1.5 * 0.04), release=0.2, held=False,
    )  # fmt: skip
    run = simulate([plank], 2.0)
    heard = hits(run, [plank])
    strongest = max(heard, key=lambda hit: hit.impulse)
    lying = np.flatnonzero(run.turns[:, 0, 2, 2] < 0.05)[0] * STEP  # its long axis lies in the floor
    assert strongest.time == pytest.approx(lying, abs=0.03)


def test_without_mujoco_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(UserError, match=r"need MuJoCo; install it with: pip install 'reasound\[scenes\]'"):
        simulate([Body(BALL, "wood", (0, 0, 1), "it")], 0.1)


# The painter.


def test_projection_in_closed_form():
    # 4 m ahead, 1 m to the right and 0.5 m up: f H = 288 pixels at 1 m.
    assert CAMERA.project((1.0, 0.0, 1.5)) == pytest.approx(
        [160 + 288 / 4, 120 - 288 * 0.5 / 4, 4.0], abs=1e-4
    )
    tilted = Camera((1.0, -3.0, 2.0), (0.2, 0.4, 0.5), 1.0)
    assert tilted.project(tilted.target)[:2] == pytest.approx([WIDTH / 2, HEIGHT / 2], abs=1e-3)


def test_a_ball_covers_the_ellipse_that_it_must():
    # A sphere of radius r, its centre d ahead and a above the axis, is seen as an ellipse whose area is
    # pi F^2 r^2 sqrt(d^2 + a^2 - r^2) / (d^2 - r^2)^(3/2).
    ball = Shape("sphere", (0.4, 0.4, 0.4))
    for up in (0.0, 0.9):
        _, owners = Painter(CAMERA, ROOM, [(ball, RED)]).draw([(0, 0, 1 + up)], UPRIGHT)
        area = np.pi * 288**2 * 0.16 * math.sqrt(16 + up**2 - 0.16) / (16 - 0.16) ** 1.5
        assert (owners == 0).sum() / 4 == pytest.approx(area, rel=0.01)
        rows, columns = np.nonzero(owners == 0)
        assert columns.mean() / 2 + 0.25 == pytest.approx(WIDTH / 2, abs=0.3)


def test_a_box_and_a_cylinder_from_the_front_are_rectangles():
    for shape in (Shape("box", (0.3, 0.2, 0.5)), Shape("cylinder", (0.3, 0.3, 0.5))):
        _, owners = Painter(CAMERA, ROOM, [(shape, RED)]).draw([(0, 0, 1.0)], UPRIGHT)
        rows, columns = np.nonzero(owners == 0)
        if shape.kind == "box":  # its front is 3.8 m away
            half, tall = 288 * 0.3 / 3.8, 288 * 0.5 / 3.8
        else:  # it is widest where the view touches the round, and tallest in the middle
            half, tall = 288 * 0.3 / math.sqrt(16 - 0.09), 288 * 0.5 / 3.7
        assert np.ptp(columns) / 2 == pytest.approx(2 * half, abs=1.5)
        assert np.ptp(rows) / 2 == pytest.approx(2 * tall, abs=1.5)


def test_a_turned_body_is_where_its_axes_say():
    # A rod along x, turned by 90 degrees about y, stands up.
    rod, turn = Shape("box", (0.6, 0.05, 0.05)), np.array([[[0, 0, 1], [0, 1, 0], [-1, 0, 0]]], float)
    _, owners = Painter(CAMERA, ROOM, [(rod, RED)]).draw([(0, 0, 1)], turn)
    rows, columns = np.nonzero(owners == 0)
    assert np.ptp(rows) > 8 * np.ptp(columns)


def test_the_nearer_body_hides_the_farther_one_in_any_order():
    near, far = Shape("box", (0.3, 0.1, 0.3)), Shape("box", (0.3, 0.1, 0.3))
    for order in ([0, 1], [1, 0]):
        places = np.array([(0, -1.0, 1), (0, 1.0, 1)])[order]
        _, owners = Painter(CAMERA, ROOM, [(near, RED), (far, RED)]).draw(places, np.repeat(UPRIGHT, 2, 0))
        assert set(np.unique(owners)) == {-1, order.index(0)}  # the far one is hidden wholly


def test_what_is_fixed_hides_and_belongs_to_nobody():
    wall = (Shape("box", (0.5, 0.1, 2.0)), Look("stone", (0.6, 0.6, 0.6)), (0.0, -1.0, 1.0))
    behind = [(Shape("sphere", (0.2, 0.2, 0.2)), RED)]
    _, hidden = Painter(CAMERA, ROOM, behind, [wall]).draw([(0, 0.5, 1)], UPRIGHT)
    _, shown = Painter(CAMERA, ROOM, behind, [wall]).draw([(0, -2.0, 1)], UPRIGHT)
    assert (hidden == -1).all() and (shown == 0).any()


def test_below_the_floor_and_behind_the_wall_nothing_is_seen():
    ball = [(BALL, RED)]
    for place in [(0, 0, -0.3), (0, 3.5, 1.0), (0, -8.0, 1.0)]:
        picture, owners = Painter(CAMERA, ROOM, ball).draw([place], UPRIGHT)
        assert (owners == -1).all()


def test_a_shadow_lies_away_from_the_lamp():
    empty, _ = Painter(CAMERA, ROOM, []).draw(np.zeros((0, 3)), np.zeros((0, 3, 3)))
    picture, owners = Painter(CAMERA, ROOM, [(BALL, RED)]).draw([(0, 0, 0.6)], UPRIGHT)
    darker = (empty.astype(int) - picture).sum(2) > 60
    darker &= (owners == -1)[::2, ::2] & (owners == -1)[1::2, 1::2]
    rows, columns = np.nonzero(darker)
    # The light comes from the left, in front and above: on the floor the middle is 0.6 m / 1.2 times that off.
    expected = CAMERA.project((0.2, 0.3, 0.0))
    assert (columns.mean(), rows.mean()) == (
        pytest.approx(expected[0], abs=2),
        pytest.approx(expected[1], abs=2),
    )


def test_a_shift_moves_the_picture_and_its_owners():
    painter = Painter(CAMERA, ROOM, [(BALL, RED)])
    picture, owners = painter.draw([(0, 0, 1)], UPRIGHT)
    moved, theirs = painter.draw([(0, 0, 1)], UPRIGHT, shift=(4, -6))  # 2 pixels right, 3 up
    assert np.array_equal(picture[3:, :-2], moved[:-3, 2:])
    assert np.array_equal(owners[6:, :-4], theirs[:-6, 4:])


# Scenes.


@pytest.fixture(scope="module", params=sorted(rigid.LAYOUTS))
def scene(request):
    pytest.importorskip("mujoco", reason="MuJoCo moves the bodies (extra: scenes)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rigid, "LAYOUTS", {request.param: rigid.LAYOUTS[request.param]})
        yield stage(Heldout(), np.random.default_rng(5), Fraction(9, 2))


def test_events_are_a_plan_and_their_onsets_the_contacts(scene):
    Plan(seconds=4.5, events=scene.events)
    assert scene.film.frames == 4.5 * FPS // 1
    assert {c.event for c in scene.contacts} == {e.id for e in scene.events}
    assert 1 <= len(scene.contacts) <= rigid.MOST
    times = [c.time for c in scene.contacts]
    assert times == sorted(times) and times[0] >= rigid.EARLIEST and times[-1] <= 4.5 - rigid.LAST
    for event in scene.events:
        own = [c for c in scene.contacts if c.event == event.id]
        assert event.onsets == tuple(c.time for c in own)
        most = max(c.impulse for c in own)
        assert event.strengths == pytest.approx([(c.impulse / most) ** rigid.POWER for c in own], abs=1e-3)
        assert all(np.diff(event.onsets) >= mechanics.APART - 1e-9)
        assert event.sound_class == MATERIALS[event.id].sound_class
        assert all(event.id in c.materials for c in own)


def test_what_is_hit_is_seen_where_the_plan_hears_it(scene):
    for event in scene.events:
        pans, far = event.place(np.array(event.onsets))
        for time, pan, distance in zip(event.onsets, pans, far, strict=True):
            mask = scene.film.mask(event.id, int(time * FPS))
            assert mask.shape == (HEIGHT, WIDTH) and mask.any()
            columns = np.flatnonzero(mask.any(0))
            where = WIDTH * (pan / (2 * EDGE_PAN) + 0.5)
            assert (
                columns.min() - 16 <= where <= columns.max() + 16
            )  # a frame of motion and a hand that shakes
            assert 1.0 < distance < 6.0


def test_a_mask_covers_what_differs_from_the_next_event(scene):
    last = scene.film.frames - 1
    masks = [scene.film.mask(event.id, last) for event in scene.events]
    assert np.sum(masks, axis=0).max() <= 1
    assert not scene.film.mask("nobody", last).any()


def test_pictures_are_pure(scene):
    once = scene.film.picture(30)
    scene.film.picture(70)[:] = 0
    assert once.shape == (HEIGHT, WIDTH, 3) and once.dtype == np.uint8
    assert np.array_equal(once, scene.film.picture(30))
    assert scene.film.picture(70).any()


def test_the_same_seed_stages_the_same_scene(mujoco):
    one, two = (stage(Heldout(), np.random.default_rng(11), Fraction(3)) for _ in range(2))
    assert one.events == two.events and one.contacts == two.contacts and one.kind == two.kind
    assert np.array_equal(one.film.picture(40), two.film.picture(40))
    other = stage(Heldout(), np.random.default_rng(12), Fraction(3))
    assert other.contacts != one.contacts


def test_only_materials_that_can_be_heard_are_shown(mujoco):
    heldout = Heldout()
    heldout.classes = lambda: ("animal/dog", "impact/wood")
    scenes = [stage(heldout, np.random.default_rng(k), Fraction(4)) for k in range(3)]
    assert {event.sound_class for scene in scenes for event in scene.events} == {"impact/wood"}
    heldout.classes = lambda: ("animal/dog",)
    with pytest.raises(UserError, match="no impact of metal, stone, wood or a ball"):
        stage(heldout, np.random.default_rng(0), Fraction(4))


def test_a_scene_too_short_to_fall_in_is_refused():
    with pytest.raises(ValueError, match="at least 3 s"):
        stage(Heldout(), np.random.default_rng(0), Fraction(2))
