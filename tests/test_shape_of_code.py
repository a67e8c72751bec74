"""The rules of docs/architecture.md that no other test would notice being broken."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "reasound"
MODULES = sorted(SOURCE.rglob("*.py"))

# Each group may import itself and what stands in its list.
BASE = ["errors", "timeline", "plan", "take"]
MAY_IMPORT = {
    "errors": [],
    "timeline": [],
    "plan": ["errors", "timeline"],
    "take": ["errors", "timeline", "plan", "edit_plan", "media"],
    "machine": ["errors"],
    "accelerate": [],
    "media": ["errors", "timeline"],
    "checkpoints": ["errors", "timeline", "media.atomic", "synthesis", "perception"],
    "mixing": [*BASE, "media.audio"],
    "perception": [*BASE, "accelerate", "media", "checkpoints"],
    "edit_plan": ["errors", "plan"],
    "plan_text": ["plan"],
    "reasoning": [*BASE, "edit_plan", "media", "perception", "checkpoints"],
    "synthesis": [
        *BASE,
        "media",
        "mixing",
        "perception",
        "reasoning",
        "checkpoints",
        "data.manifest",
        "data.measure",
        "machine",
        "accelerate",
        "plan_text",
    ],
    "pipeline": [
        *BASE,
        "edit_plan",
        "machine",
        "media",
        "mixing",
        "perception",
        "reasoning",
        "synthesis",
        "checkpoints",
    ],
    "stages": [
        *BASE,
        "edit_plan",
        "plan_text",
        "pipeline",
        "media",
        "mixing",
        "perception",
        "reasoning",
        "synthesis",
    ],
    "export": [*BASE, "media", "mixing"],
    "data": [*BASE, "edit_plan", "media", "mixing", "perception", "reasoning", "synthesis", "checkpoints"],
    "training": [
        *BASE,
        "edit_plan",
        "data",
        "reasoning",
        "media",
        "mixing",
        "perception",
        "synthesis",
        "checkpoints",
        "evaluation.onsets",
        "evaluation.yamnet",
    ],
    "evaluation": [
        *BASE,
        "edit_plan",
        "data",
        "media",
        "mixing",
        "perception",
        "reasoning",
        "synthesis",
        "checkpoints",
        "pipeline",
        "stages",
    ],
    "doctor": [*BASE, "machine", "pipeline", "checkpoints", "synthesis"],
    "console": ["errors"],
    "models_cli": ["errors", "console", "checkpoints"],
    "evaluate_cli": ["errors", "console", "pipeline", "data", "evaluation", "media"],
    "train_cli": [
        "errors",
        "console",
        "machine",
        "perception",
        "reasoning",
        "data",
        "evaluation",
        "training",
    ],
    "history": [*BASE, "media"],
    "desk_cli": [*BASE, "console", "history", "pipeline", "stages", "media"],
    "refine_cli": [*BASE, "console", "history", "perception", "pipeline", "stages", "media"],
    "edit_cli": [*BASE, "edit_plan", "console", "history", "pipeline", "stages", "media"],
    "export_cli": [*BASE, "console", "history", "export"],
    "serving": [
        *BASE,
        "edit_plan",
        "history",
        "pipeline",
        "stages",
        "export",
        "media",
        "perception",
    ],
    "cli": [
        *BASE,
        "desk_cli",
        "edit_cli",
        "refine_cli",
        "machine",
        "console",
        "models_cli",
        "evaluate_cli",
        "train_cli",
        "pipeline",
        "stages",
        "export",
        "export_cli",
        "doctor",
        "media",
    ],
}

ON_DEMAND = {("hf.py", "transformers")}
"""Modules that are there for a package, and that no other module imports."""


def imports(path):
    """(module below reasound, whether it is only for type checkers)"""
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "reasound":
            names = [node.module] if node.module != "reasound" else [f"reasound.{n.name}" for n in node.names]
        elif isinstance(node, ast.Import):
            names = [n.name for n in node.names if n.name.split(".")[0] == "reasound"]
        else:
            continue
        for name in names:
            yield name.removeprefix("reasound").lstrip("."), node in typing_only


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_dependencies_run_one_way(path):
    group = path.relative_to(SOURCE).with_suffix("").parts[0]
    if group == "__init__":
        return
    allowed = [group, *MAY_IMPORT[group]]
    for name, typing_only in imports(path):
        if name and name != "__version__" and not typing_only:
            assert any(name == a or name.startswith(a + ".") for a in allowed), f"{group} imports {name}"


def test_importing_is_quick_and_silent():
    code = "import sys, reasound; print([m for m in ('torch', 'cv2', 'av', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and done.stderr == ""


@pytest.mark.parametrize("name", ["torchvision", "torchaudio", "transformers", "scipy", "einops"])
def test_what_is_never_a_hard_dependency_is_never_imported_at_the_top(name):
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if (path.name, name) not in ON_DEMAND:
                assert all(n.split(".")[0] != name for n in names), f"{path.name} imports {name}"


def test_every_public_module_says_what_it_is_for():
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) or not tree.body, f"{path.relative_to(ROOT)} has no docstring"
