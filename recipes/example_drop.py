"""Render examples/drop.mp4: a steel ball and wooden blocks fall on a table, in MuJoCo with software OpenGL.

    pip install mujoco && MUJOCO_GL=egl python recipes/example_drop.py --out examples/drop.mp4

Prints when bodies touch and how hard, which is what its sound should follow.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import mujoco
import numpy as np

FPS, SECONDS = 30, 6
WIDTH, HEIGHT = 640, 360
RELEASED = (0.3, 2.0, 3.6)
"""Seconds at which ball, cube and plank are let go."""

SCENE = """
<mujoco>
  <option timestep="0.001" integrator="implicitfast"/>
  <visual><global offwidth="640" offheight="360"/><quality shadowsize="2048"/>
    <headlight diffuse=".35 .35 .35" ambient=".3 .3 .3"/></visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" rgb1=".75 .78 .8" rgb2=".45 .5 .55"
      width="64" height="64"/>
    <texture name="planks" type="2d" builtin="checker" rgb1=".55 .38 .22" rgb2=".6 .42 .26"
      width="128" height="128"/>
    <material name="table" texture="planks" texrepeat="3 12" specular=".2" shininess=".3"/>
    <material name="steel" rgba=".78 .8 .84 1" specular="1" shininess=".9" reflectance=".3"/>
    <material name="beech" rgba=".83 .66 .42 1" specular=".1"/>
  </asset>
  <worldbody>
    <light pos="-1 -2 3" dir=".3 .6 -1" diffuse=".8 .8 .75" castshadow="true"/>
    <geom type="box" size="1.4 .8 .05" pos="0 0 -.05" material="table"/>
    <camera name="front" pos="0 -2.4 .75" xyaxes="1 0 0 0 .17 1" fovy="42"/>
    <body pos="-.55 0 .95"><freejoint/>
      <geom type="sphere" size=".1" mass=".8" material="steel" solref="-40000 -40" priority="2"/></body>
    <body pos=".3 .1 1.5" euler="20 35 10"><freejoint/>
      <geom type="box" size=".1 .1 .1" mass=".4" material="beech" solref=".008 .5" priority="1"/></body>
    <body pos=".95 -.1 1.5" euler="50 5 40"><freejoint/>
      <geom type="box" size=".16 .07 .05" mass=".35" material="beech" solref=".008 .5" priority="1"/></body>
  </worldbody>
</mujoco>
"""


def render(out: Path) -> list[tuple[float, str, float]]:
    """Write the clip; return (seconds, what, newtons) of every contact that begins."""
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
    mujoco.mj_forward(model, data)
    touching: dict[int, float] = {}
    hits: list[tuple[float, str, float]] = []
    with av.open(str(out), "w", options={"fflags": "+bitexact"}) as box:
        stream = box.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FPS * SECONDS):
            while data.time < index / FPS:
                mujoco.mj_step(model, data)
                for body, time in enumerate(RELEASED):
                    if data.time < time:
                        data.qpos[7 * body : 7 * body + 7] = model.qpos0[7 * body : 7 * body + 7]
                        data.qvel[6 * body : 6 * body + 6] = 0.0
                for k in range(data.ncon):
                    force = np.zeros(6)
                    mujoco.mj_contactForce(model, data, k, force)
                    body = int(data.contact[k].geom2)
                    if force[0] > 3.0:
                        if data.time - touching.get(body, -1.0) > 0.08:
                            hits.append(
                                (round(data.time, 3), "steel" if body == 1 else "wood", float(force[0]))
                            )
                        touching[body] = data.time
            renderer.update_scene(data, camera="front")
            frame = av.VideoFrame.from_ndarray(renderer.render(), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return hits


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("examples/drop.mp4"))
    for time, what, force in render(parser.parse_args().out):
        print(f"{time:6.3f} s  {what:<6} {force:8.1f} N")
