"""Laws of the source itself: imports run one way, files stay short, the import stays light."""

import ast
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent

FLOORS = [
    ("errors",),
    ("kernels", "store", "communicator"),
    ("noise",),
    ("device",),
    ("neuron", "domain", "data", "loss", "check", "panel"),
    ("measure", "populations"),
    ("law", "dissipation", "convolution"),
    ("energy", "isotropic"),
    ("grid_risk", "grid_moments", "exact"),
    ("grid_energy", "lagrangian_interaction"),
    ("lagrangian_energy",),
    ("transport", "problem"),
    ("optimality",),
    ("solver",),
    ("provenance", "diagnostics", "run_format", "pace"),
    ("run", "recorder"),
    ("loop",),
    ("solvers",),
    ("case",),
    ("cases",),
    ("recipe",),
    ("options", "results", "comparison"),
    ("restart",),
    ("convergence",),
    ("verification",),
    ("plots",),
    ("rate_plot", "comparison_plot", "case_plot", "animation", "report_style"),
    ("report",),
    ("commands",),
    ("parser",),
    ("cli",),
    ("__main__",),
]
PACKAGES = (
    "kernels",
    "store",
    "energy",
    "exact",
    "convergence",
    "comparison",
    "plots",
    "commands",
    "verification",
)
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


def sources() -> list[pathlib.Path]:
    library = ROOT / "wgflow"
    packages = [library / name for name in PACKAGES]
    folders = [library, *packages, ROOT / "solvers", ROOT / "cases"]
    return sorted(path for folder in folders for path in folder.glob("*.py"))


def part(path: pathlib.Path) -> str:
    folder = path.parent.name
    return path.stem if folder == "wgflow" else folder


def imported(path: pathlib.Path) -> list[str]:
    """Return the parts of wgflow that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "wgflow":
                names += [f"wgflow.{alias.name}" for alias in node.names]
            else:
                names.append(node.module or "")
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name.split(".")[1] for name in names if name.startswith("wgflow.")]


def test_imports_run_one_way() -> None:
    checked = 0
    for path in sources():
        me = part(path)
        if me == "__init__":
            continue
        for other in imported(path):
            assert FLOOR[other] <= FLOOR[me], f"{path.name} imports {other} from above"
            if other != me:
                within = me in (*PACKAGES, "solvers")
                assert FLOOR[other] < FLOOR[me] or within, (path, other)
            checked += 1
    assert checked > 100


def test_only_the_store_imports_h5py_and_only_the_command_prints() -> None:
    for path in sources():
        tree = ast.parse(path.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert "h5py" not in names or part(path) == "store"
        calls = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not {"print", "exit", "input"} & calls or part(path) in ("cli", "commands"), path


def test_no_module_is_over_400_lines() -> None:
    for path in [*sources(), *(ROOT / "tests").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_import_and_help_load_nothing_heavy() -> None:
    """What makes the import slow is NumPy and above; neither is loaded before it is used."""
    for statement in ("import wgflow", "from wgflow.cli import parser; parser().format_help()"):
        code = f"{statement}\nimport sys\nprint(sorted(sys.modules))"
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for heavy in ("'numpy'", "'numba'", "'scipy'", "'h5py'", "'matplotlib'"):
            assert heavy not in out, heavy


def test_every_public_name_exists_and_none_is_a_module() -> None:
    """Run alone, so that importing everything first would show a module in a name's place."""
    code = (
        "import wgflow, types, importlib, pkgutil\n"
        "[importlib.import_module(f'wgflow.{m.name}') for m in "
        "pkgutil.iter_modules(wgflow.__path__) if m.name != '__main__']\n"
        "bad = [n for n in wgflow.__all__ if isinstance(getattr(wgflow, n), types.ModuleType)]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
