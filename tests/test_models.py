"""From released files to a model that runs: what is converted, what is refused, what is left behind, what is pulled."""

import errno
import hashlib
import http.server
import io
import json
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from golden import recipe
from reasound.checkpoints import catalog, encoders, hub, models, official, store
from reasound.cli import main
from reasound.errors import UserError
from reasound.perception.synchformer import SynchformerConfig
from reasound.synthesis.dit import DiTConfig
from reasound.synthesis.dit import build as build_dit
from reasound.synthesis.oobleck import OobleckConfig
from reasound.synthesis.oobleck import build as build_oobleck
from test_encoders import write_clip, write_t5

GOLDEN = Path(__file__).parent / "golden"


def drawn(shapes):
    return {name: torch.from_numpy(recipe.weights(name, shape)) for name, shape in shapes.items()}


def keys(name):
    return json.loads((GOLDEN / name).read_text())["keys"]


@pytest.fixture(scope="module")
def flat():
    """A tiny thinksound_light.ckpt: DiT, and an autoencoder that is not the one in vae.ckpt."""
    vae = {f"pretransform.{name}": shape for name, shape in keys("tiny_vae.keys.json").items()}
    return drawn(keys("tiny_dit.keys.json")) | {name: tensor + 0.1 for name, tensor in drawn(vae).items()}


@pytest.fixture(scope="module")
def sync():
    return drawn(official.sync_shapes(SynchformerConfig(width=64, layers=1, heads=1)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No test sees models or downloads of whoever runs it."""
    monkeypatch.setenv("REASOUND_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def released(tmp_path, flat, sync):
    """A folder as it is downloaded, without encoders."""
    folder = tmp_path / "released"
    folder.mkdir()
    torch.save(flat, folder / "thinksound_light.ckpt")
    shutil.copy(GOLDEN / "tiny_vae_ckpt.safetensors", folder / "vae.ckpt")
    torch.save(sync | {"afeat_extractor.x": torch.zeros(1)}, folder / "synchformer_state_dict.pth")
    return folder


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def weights(folder, part, kind):
    return load_file(folder / part / f"{kind}.safetensors")


PARTS = [
    "codec/config.json",
    "codec/oobleck.safetensors",
    "dit/config.json",
    "dit/dit.safetensors",
    "model.json",
]


# Converting


def in_zip(flat, path):
    torch.save(flat, path)


def in_old_pickle(flat, path):
    torch.save(flat, path, _use_new_zipfile_serialization=False)


def in_safetensors(flat, path):
    save_file(flat, path)


def in_training_file(flat, path):
    averaged = {
        f"diffusion_ema.ema_model.model.{n.removeprefix('model.model.')}": 0 * t for n, t in flat.items()
    }
    online = {f"diffusion.{name}": tensor for name, tensor in flat.items()}
    torch.save(
        {"state_dict": online | averaged | {"diffusion_ema.step": torch.tensor([9])}, "epoch": 1}, path
    )


@pytest.mark.parametrize("write", [in_zip, in_old_pickle, in_safetensors, in_training_file])
def test_every_container_becomes_the_same_model(tmp_path, flat, write):
    write(flat, tmp_path / "file.ckpt")
    made = models.convert(tmp_path / "file.ckpt", tmp_path / "out", "fp32")
    assert files(tmp_path / "out") == PARTS and made["missing"] == ["sync", "metaclip", "t5"]
    dit = {name: tensor for name, tensor in flat.items() if name.startswith("model.model.")}
    loaded = store.load(tmp_path / "out" / "dit", "dit", build_dit)
    ours = official.dit(dit, heads=4)
    assert loaded.state_dict().keys() == ours.keys()
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in ours.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.ckpt", "out"]


def test_a_folder_is_converted_with_its_own_autoencoder_and_described(tmp_path, released, flat):
    made = models.convert(released, tmp_path / "out")
    assert list(made["parts"]) == ["dit", "codec", "sync"] and made["precision"] == "bf16"
    alone = {
        "pretransform.model." + name.removeprefix("autoencoder."): tensor
        for name, tensor in load_file(released / "vae.ckpt").items()
        if name.startswith("autoencoder.")
    }
    stored = weights(tmp_path / "out", "codec", "oobleck")
    for name, tensor in official.vae(alone).items():
        assert torch.equal(stored[name], tensor.to(stored[name].dtype))
    described = catalog.describe(tmp_path / "out")
    assert described["whole_seconds"] is False and described["latents_per_second"] == 44_100 / 64
    sha256 = hashlib.sha256((released / "vae.ckpt").read_bytes()).hexdigest()
    assert described["parts"]["codec"]["source"] == {"vae.ckpt": sha256}
    assert "no commercial use" in described["parts"]["dit"]["licence"]
    assert catalog.kind_of(tmp_path / "out") == "thinksound"
    assert models.verify(tmp_path / "out") == []


def test_bf16_keeps_in_float32_what_the_networks_run_in_float32(tmp_path, released):
    models.convert(released, tmp_path / "out", "bf16")
    dit = weights(tmp_path / "out", "dit", "dit")
    kept = {name for name, tensor in dit.items() if tensor.dtype == torch.float32}
    assert {"solo.0.norm.query", "solo.0.qkv.bias", "empty_visual", "sync_place"} <= kept
    assert dit["solo.0.qkv.weight"].dtype == torch.bfloat16
    assert store.precision(tmp_path / "out" / "dit") == torch.bfloat16
    codec = weights(tmp_path / "out", "codec", "oobleck")
    assert codec["decoder.0.weight"].dtype == torch.float32  # it reads the latents themselves
    for part, kind, build in (("dit", "dit", build_dit), ("codec", "oobleck", build_oobleck)):
        network = store.load(tmp_path / "out" / part, kind, build, dtype=torch.bfloat16)
        running = network.state_dict()
        for name, tensor in weights(tmp_path / "out", part, kind).items():
            assert torch.equal(running[name], tensor.to(running[name].dtype)), name


def test_parts_are_added_and_only_replaced_by_force(tmp_path, released, flat):
    out = tmp_path / "out"
    models.convert(released / "thinksound_light.ckpt", out, "fp32")
    before = (out / "dit" / "dit.safetensors").stat().st_ino
    with pytest.raises(UserError, match="holds all of this already; replace it with --force"):
        models.convert(released / "thinksound_light.ckpt", out)
    with pytest.raises(UserError, match="is in fp32; add to it in that precision"):
        models.convert(released / "synchformer_state_dict.pth", out, "bf16")
    made = models.convert(released / "synchformer_state_dict.pth", out)
    assert list(made["parts"]) == ["dit", "codec", "sync"] and made["precision"] == "fp32"
    assert (out / "dit" / "dit.safetensors").stat().st_ino == before
    old = weights(out, "codec", "oobleck")["decoder.5.weight"]
    models.convert(released / "vae.ckpt", out, force=True)
    assert not torch.equal(weights(out, "codec", "oobleck")["decoder.5.weight"], old)
    assert models.verify(out) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "released"]


def test_a_new_model_needs_dit_and_autoencoder(tmp_path, released, flat):
    with pytest.raises(UserError, match="the DiT is missing: a new model needs thinksound_light"):
        models.convert(released / "vae.ckpt", tmp_path / "out")
    torch.save({n: t for n, t in flat.items() if n.startswith("model.model.")}, tmp_path / "only_dit.ckpt")
    with pytest.raises(UserError, match="the autoencoder is missing"):
        models.convert(tmp_path / "only_dit.ckpt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_released_names_go_before_others_and_doubles_are_refused(tmp_path, released, flat):
    other = {name: tensor + 1 for name, tensor in flat.items()}
    in_training_file(other, released / "thinksound.ckpt")
    torch.save(other, released / "a.ckpt")
    (released / "broken.pt").write_bytes(b"<html>")
    pieces, problems = models.find(released)
    assert {part: piece.path.name for part, piece in pieces.items()} == {
        "dit": "thinksound_light.ckpt",
        "codec": "vae.ckpt",
        "sync": "synchformer_state_dict.pth",
    }
    assert len(problems) == 1 and "web page" in problems[0]
    (released / "thinksound_light.ckpt").unlink()
    assert models.find(released)[0]["dit"].path.name == "thinksound.ckpt"
    (released / "thinksound.ckpt").rename(released / "b.ckpt")
    with pytest.raises(UserError, match=r"a\.ckpt and .*b\.ckpt hold the same part \(dit\)"):
        models.find(released)


def test_encoders_are_folders_of_the_hub_beside_or_in_the_cache(tmp_path, released, monkeypatch):
    """What the encoders' own conversion does is tested where it is; here: which folder, which sizes."""
    calls = []

    def stub(part):
        def write(source, target, dtype, sizes):
            target.mkdir()
            (target / "config.json").write_text("{}")
            calls.append((part, source.name, dtype, dict(sizes)))

        return write

    monkeypatch.setattr(encoders, "convert_metaclip", stub("metaclip"))
    monkeypatch.setattr(encoders, "convert_t5", stub("t5"))
    (released / "clip").mkdir()
    (released / "clip" / "config.json").write_text('{"model_type": "clip"}')
    (released / "clip" / "model.safetensors").touch()
    snapshot = tmp_path / "hub" / "models--google--t5-v1_1-xl" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "t5"}')
    (snapshot / "pytorch_model.bin").touch()
    refs = tmp_path / "hub" / "models--google--t5-v1_1-xl" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    made = models.convert(released, tmp_path / "out")
    assert made["missing"] == []
    assert calls == [
        ("metaclip", "clip", torch.bfloat16, {"projection_dim": 48, "text_config.hidden_size": 1024}),
        ("t5", "0" * 40, torch.bfloat16, {"d_model": 2048}),
    ]
    source = catalog.describe(tmp_path / "out")["parts"]["t5"]["source"]
    assert source == {"0" * 40: f"google/t5-v1_1-xl at {'0' * 40}"}


def test_encoders_are_converted_checked_and_must_fit_the_dit(tmp_path, released):
    """With real little encoders, and a DiT that reads what they say."""
    write_clip(released / "clip")
    write_t5(released / "language")
    with pytest.raises(
        UserError, match="clip is another model than ThinkSound uses: its projection_dim is 16, not 48"
    ):
        models.convert(released, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    dit = DiTConfig(visual=16, caption=24, reasoning=24, width=64, heads=1, joint_layers=1, solo_layers=1)
    codec = OobleckConfig(channels=4, multiples=(1, 2), strides=(2, 4))
    torch.save(
        drawn(official.dit_shapes(dit) | official.vae_shapes(codec)), released / "thinksound_light.ckpt"
    )
    made = models.convert(released, tmp_path / "out")
    assert made["missing"] == [] and catalog.thinksound(tmp_path / "out") == tmp_path / "out"
    assert models.verify(tmp_path / "out") == []
    for part in ("metaclip", "t5"):
        for path in (tmp_path / "out" / part).iterdir():
            good = path.read_bytes()
            path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
            (problem,) = models.verify(tmp_path / "out")
            assert f"{path} is damaged" in problem
            path.write_bytes(good)


# Nothing half-made


def interrupted(*_, **__):
    raise KeyboardInterrupt


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("adding", [False, True])
@pytest.mark.parametrize(
    ("trouble", "error", "message"),
    [(interrupted, KeyboardInterrupt, None), (full, UserError, "no space left")],
)
def test_trouble_leaves_everything_as_it_was(
    tmp_path, released, monkeypatch, adding, trouble, error, message
):
    out = tmp_path / "new" / "out"
    if adding:
        models.convert(released / "thinksound_light.ckpt", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    monkeypatch.setattr(store, "_write", trouble)
    with pytest.raises(error, match=message) as caught:
        models.convert(released, out)
    if message:
        assert str(out) in str(caught.value)
    monkeypatch.undo()
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == (["new", "released"] if adding else ["released"])
    assert not adding or [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_a_disk_without_room_is_noticed_before_anything_is_written(tmp_path, released, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(UserError, match="needs 0.0 GB in .*out and the disk has 0.0 GB free; make room"):
        models.convert(released, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_tensor_is_named_and_nothing_is_written(tmp_path, flat):
    name = "model.model.fused_blocks.1.linear1.weight"
    torch.save(flat | {name: torch.zeros(64, 64, 5)}, tmp_path / "file.ckpt")
    with pytest.raises(
        UserError, match=r"fused_blocks\.1\.linear1\.weight.* has shape \[64, 64, 5\]; .*\[64, 64, 3\]"
    ):
        models.convert(tmp_path / "file.ckpt", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file.ckpt"]


def test_a_folder_of_something_else_is_never_touched(tmp_path, released):
    (tmp_path / "novel").mkdir()
    (tmp_path / "novel" / "chapter.txt").write_text("years of work")
    with pytest.raises(UserError, match="exists already and is not a ThinkSound model"):
        models.convert(released, tmp_path / "novel", force=True)
    assert files(tmp_path / "novel") == ["chapter.txt"]


# Checking


def test_a_changed_byte_anywhere_is_found(tmp_path, released):
    out = tmp_path / "out"
    models.convert(released, out)
    for name in files(out):
        path = out / name
        if name == "model.json":
            continue
        good = path.read_bytes()
        path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
        problems = models.verify(out)
        assert len(problems) == 1 and str(path) in problems[0], name
        path.write_bytes(good[:-9])
        assert len(models.verify(out)) == 1
        path.unlink()
        assert len(models.verify(out)) == 1
        path.write_bytes(good)
    assert models.verify(out) == []


def test_tensors_that_do_not_fit_are_found_though_the_hash_is_right(tmp_path, released):
    out = tmp_path / "out"
    models.convert(released, out)
    config = json.loads((out / "dit" / "config.json").read_text())
    fields = {name: value for name, value in config.items() if name not in ("kind", "version", "sha256")}
    tensors = weights(out, "dit", "dit")
    del tensors["final.out.bias"]
    store.save(out / "dit", "dit", tensors, fields, half=False)
    described = json.loads((out / "model.json").read_text())
    described["parts"]["dit"]["sha256"]["config.json"] = store.digest(out / "dit" / "config.json")
    (out / "model.json").write_text(json.dumps(described))
    (problem,) = models.verify(out)
    assert "lacks the tensor 'final.out.bias'" in problem


def test_pocket_is_verified_too():
    assert models.verify(catalog.package_folder(catalog.POCKET)) == []


# The catalogue


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path, released):
    with pytest.raises(UserError, match="reasound models pull thinksound.*reasound models convert"):
        catalog.thinksound()
    with pytest.raises(UserError, match="there is no model 'nonsense'"):
        catalog.kind_of("nonsense")
    models.convert(released, tmp_path / "models" / "thinksound")
    with pytest.raises(UserError, match="lacks metaclip and t5"):
        catalog.thinksound()
    for part in ("metaclip", "t5"):
        shutil.copytree(tmp_path / "models" / "thinksound" / "dit", tmp_path / "models" / "thinksound" / part)
    assert catalog.thinksound() == tmp_path / "models" / "thinksound"
    assert catalog.thinksound(str(tmp_path / "models" / "thinksound")) == catalog.thinksound()
    (tmp_path / "models" / "thinksound" / "model.json").write_text('{"kind": "thinksound", "version": 9}')
    with pytest.raises(UserError, match="version 9 .* reads version 1"):
        catalog.thinksound()


@pytest.mark.parametrize(
    ("platform", "variables", "end"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/reasound/models"),
        ("linux", {}, "/home/me/.cache/reasound/models"),
        ("darwin", {}, "/home/me/Library/Caches/reasound/models"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/reasound/models"),
    ],
)
def test_models_live_where_the_system_wants_them(monkeypatch, platform, variables, end):
    for name in ("REASOUND_MODELS", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "/home/me"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(catalog.sys, "platform", platform)
    assert catalog.models_folder() == Path(end)


# The command line


def run(capfd, *arguments):
    """Exit status, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as stopped:
        main(["models", *(str(a) for a in arguments)])
    out, err = capfd.readouterr()
    return stopped.value.code, out, err


def test_convert_list_and_verify(capfd, tmp_path, released):
    code, out, _ = run(capfd, "convert", released, "--precision", "fp32", "--json")
    made = json.loads(out)
    home = tmp_path / "models" / "thinksound"
    assert code == 0 and made["path"] == str(home) and made["missing"] == ["metaclip", "t5"]
    code, out, _ = run(capfd, "list", "--json")
    found = json.loads(out)
    assert found["thinksound"] == made and found["pocket"]["codec"]["licence"] == "CC-BY-SA-4.0"
    assert [origin["repositories"][0] for origin in found["hub"]] == [
        "liuhuadai/ThinkSound",
        "facebook/metaclip-h14-fullcc2.5b",
        "google/t5-v1_1-xl",
    ]
    code, out, _ = run(capfd, "list")
    assert code == 0 and "facebook/metaclip-h14-fullcc2.5b, 3.94 GB" in out and "CC-BY-NC-4.0" in out
    assert run(capfd, "verify")[0] == 0
    assert run(capfd, "verify", "pocket", "--json")[0] == 0
    path = home / "sync" / "synchformer.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    code, out, _ = run(capfd, "verify", home, "--json")
    assert code == 1 and json.loads(out)["ok"] is False and "damaged" in json.loads(out)["problems"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", "nowhere"], "nowhere does not exist"),
        (["convert", "."], "holds no checkpoint of ThinkSound"),
        (["convert", "page.ckpt"], "is a web page"),
        (["convert", "page.ckpt", "--precision", "int8"], "--precision must be one of bf16, fp32"),
        (["verify"], "thinksound is not installed"),
        (["verify", "nowhere"], "there is no model 'nowhere'"),
        (["pull", "mmaudio"], "MODEL must be one of thinksound"),
        (["pull", "thinksound", "--offline"], "offline, so the hub was not asked"),
        (["convert", ".", "nowhere/new"], "holds no checkpoint of ThinkSound"),
    ],
)
def test_what_cannot_be_is_one_sentence(capfd, tmp_path, arguments, words):
    (tmp_path / "page.ckpt").write_text("<html>") if "page.ckpt" in arguments else None
    before = files(tmp_path)
    code, out, err = run(capfd, *arguments)
    assert code == 1 and out == "" and words in err
    assert err.startswith("reasound: ") and err.count("\n") == 1
    assert files(tmp_path) == before


# The hub: a small one, on this machine


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as pulling needs. Tests change the class's fields."""

    revision = "1" * 40
    repos: dict = {}
    status: dict = {}
    """Of repositories that do not answer as they should: (status, error code)."""
    damage: set = set()
    asked: list = []
    ranges: list = []

    def do_GET(self):
        self._answer(body=True)

    def do_HEAD(self):
        self._answer(body=False)

    def _answer(self, body):
        path = self.path.split("?")[0].strip("/")
        repo = "/".join(path.removeprefix("api/models/").split("/")[:2])
        if repo in self.status or repo not in self.repos:
            status, code = self.status.get(repo, (404, "RepoNotFound"))
            return self._send(status, b"{}", {"X-Error-Code": code}, body)
        files = self.repos[repo]
        if path.startswith("api/models/"):
            listed = [self._listed(name, content) for name, content in files.items()]
            return self._send(
                200, json.dumps({"id": repo, "sha": self.revision, "siblings": listed}).encode(), {}, body
            )
        name = path.split("/resolve/")[1].split("/", 1)[1]
        content = files[name]
        headers = {"X-Repo-Commit": self.revision, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if body:
            self.asked.append(name)
        if body and name in self.damage:
            content = content[:-1] + bytes([content[-1] ^ 1])
        status, wanted = 200, self.headers.get("Range")
        if wanted and body:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.ranges.append(wanted)
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
        self._send(status, content, headers, body)

    @staticmethod
    def _listed(name, content):
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        sha256 = hashlib.sha256(content).hexdigest()
        large = (
            {}
            if name.endswith(".json")
            else {"lfs": {"sha256": sha256, "size": len(content), "pointerSize": 9}}
        )
        return {"rfilename": name, "size": len(content), "blobId": blob, **large}

    def _send(self, status, content, headers, body):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch, released):
    """Serves the tiny release and two encoders, whose conversion is tested elsewhere."""
    weights = {path.name: path.read_bytes() for path in released.iterdir()}
    monkeypatch.setattr(Hub, "repos", {"liuhuadai/ThinkSound": weights})
    for repo, kind in (("facebook/metaclip-h14-fullcc2.5b", "clip"), ("google/t5-v1_1-xl", "t5")):
        config = json.dumps({"model_type": kind}).encode()
        Hub.repos[repo] = {
            "config.json": config,
            "pytorch_model.bin": b"\x80weights",
            "tf_model.h5": b"never",
        }
    for name, value in (("status", {}), ("damage", set()), ("asked", []), ("ranges", [])):
        monkeypatch.setattr(Hub, name, value)

    def convert(source, target, dtype, sizes):
        shutil.copytree(source, target)

    monkeypatch.setattr(encoders, "convert_metaclip", convert)
    monkeypatch.setattr(encoders, "convert_t5", convert)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    point(monkeypatch, address)
    yield Hub
    server.shutdown()
    server.server_close()
    thread.join()


def point(monkeypatch, address):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )


def test_pull_shows_asks_downloads_checks_and_converts(capfd, tmp_path, server):
    code, out, err = run(capfd, "pull", "thinksound", "--json")
    assert code == 1 and "licence not accepted" in json.loads(out)["error"] and server.asked == []
    assert "thinksound_light.ckpt" in err and "CC-BY-NC-4.0" in err and "no commercial use" in err
    code, out, err = run(capfd, "pull", "thinksound", "--yes", "--json")
    made = json.loads(out)
    assert code == 0, err
    assert made["missing"] == [] and made["path"] == str(tmp_path / "models" / "thinksound")
    assert "tf_model.h5" not in server.asked and "vae.ckpt" in server.asked
    described = catalog.describe(Path(made["path"]))
    assert list(described["parts"]["dit"]["source"]) == ["thinksound_light.ckpt"]
    code, _, err = run(capfd, "pull", "thinksound", "--yes")
    assert code == 1 and "complete already" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_person_is_asked(capfd, monkeypatch, server, answer, code):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    found, _, err = run(capfd, "pull", "thinksound")
    assert found == code and "Do you accept these licences? [y/N]" in err
    assert bool(server.asked) == (code == 0) == ("licence not accepted" not in err)


def test_only_what_is_missing_is_pulled(capfd, released, server):
    assert run(capfd, "convert", released)[0] == 0
    assert run(capfd, "pull", "thinksound", "--yes")[0] == 0
    assert sorted(server.asked) == ["config.json", "config.json", "pytorch_model.bin", "pytorch_model.bin"]


def test_the_second_repository_is_asked_where_the_first_lacks_something(tmp_path, server):
    light = server.repos["liuhuadai/ThinkSound"]
    server.repos["FunAudioLLM/ThinkSound"] = dict(light)
    light["thinksound.ckpt"] = light.pop("thinksound_light.ckpt")
    (offer,) = hub.offers(["dit"])
    assert offer.repo == "FunAudioLLM/ThinkSound"
    del server.repos["liuhuadai/ThinkSound"]
    assert hub.offers(["dit"])[0].repo == "FunAudioLLM/ThinkSound"
    assert hub.offers(["dit"])[0].size == sum(map(len, server.repos["FunAudioLLM/ThinkSound"].values()))


def test_a_damaged_download_is_deleted_and_comes_again(capfd, tmp_path, server):
    server.damage = {"vae.ckpt"}
    code, _, err = run(capfd, "pull", "thinksound", "--yes")
    assert code == 1 and "vae.ckpt came damaged from the hub and was deleted" in err
    assert not (tmp_path / "models" / "thinksound").exists()
    server.damage = set()
    assert run(capfd, "pull", "thinksound", "--yes")[0] == 0
    assert server.asked.count("vae.ckpt") == 2 and server.asked.count("thinksound_light.ckpt") == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ((403, "GatedRepo"), "open only to people who accepted its terms"),
        ((404, "RepoNotFound"), "the hub has no repository liuhuadai/ThinkSound, or it is private"),
        ((500, ""), "the hub did not give out liuhuadai/ThinkSound"),
    ],
)
def test_a_repository_that_does_not_open_is_one_sentence(capfd, tmp_path, server, status, words):
    server.status = {"liuhuadai/ThinkSound": status}
    code, out, err = run(capfd, "pull", "thinksound", "--yes", "--repo", "liuhuadai/ThinkSound")
    assert code == 1 and words in err and err.count("\n") == 1
    code, out, err = run(capfd, "pull", "thinksound", "--yes", "--repo", "no such name!")
    assert code == 1 and "is not a name of a repository" in err


def test_without_a_network_it_says_so(capfd, tmp_path, monkeypatch):
    point(monkeypatch, "http://127.0.0.1:9")
    code, _, err = run(capfd, "pull", "thinksound", "--yes")
    assert code == 1 and "cannot reach the hub for liuhuadai/ThinkSound: check the network" in err
    assert err.count("\n") == 1 and not (tmp_path / "models").exists()


def test_the_hub_s_own_switch_refuses_too(capfd, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    code, _, err = run(capfd, "pull", "thinksound", "--yes")
    assert code == 1 and "unset HF_HUB_OFFLINE" in err


def test_a_download_that_stopped_goes_on_where_it_was(capfd, tmp_path, server):
    light = server.repos["liuhuadai/ThinkSound"]["thinksound_light.ckpt"]
    folder = tmp_path / "models" / "downloads" / "liuhuadai--ThinkSound" / server.revision
    folder.mkdir(parents=True)
    (folder / "thinksound_light.ckpt.partial").write_bytes(light[:-1000])
    assert run(capfd, "pull", "thinksound", "--yes")[0] == 0
    assert server.ranges == [f"bytes={len(light) - 1000}-"]
    assert (folder / "thinksound_light.ckpt").read_bytes() == light
    assert [path for path in files(tmp_path / "models") if path.endswith(".partial")] == []


def test_what_hugging_face_s_cache_holds_is_not_downloaded(capfd, tmp_path, server):
    root = tmp_path / "hub" / "models--google--t5-v1_1-xl"
    (root / "snapshots" / server.revision).mkdir(parents=True)
    for name, content in server.repos["google/t5-v1_1-xl"].items():
        (root / "snapshots" / server.revision / name).write_bytes(content)
    assert run(capfd, "pull", "thinksound", "--yes")[0] == 0
    assert server.asked.count("pytorch_model.bin") == 1  # MetaCLIP's


def test_a_disk_without_room_for_the_download_is_noticed(capfd, monkeypatch, server):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    code, _, err = run(capfd, "pull", "thinksound", "--yes")
    assert code == 1 and "the download needs" in err and server.asked == []


def test_networks_say_how_they_are_stored():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.product, self.exact = nn.Linear(2, 2), nn.Linear(2, 2)

        def lower(self, dtype):
            self.product.to(dtype)

    with torch.device("meta"):
        found = store.precisions(Network(), torch.bfloat16)
    assert found.pop("product.weight") == torch.bfloat16 and set(found.values()) == {torch.float32}
