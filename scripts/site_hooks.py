"""What mkdocs.yml asks of MkDocs beyond its plugins: formulas, and pages that are made.

The reference has a page for each package of the library, and each notebook is a page as well.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

__all__ = ["notebook", "on_config", "on_files", "on_page_content", "reference_pages"]

SOURCE = Path(__file__).resolve().parent.parent / "src"
PACKAGE = SOURCE / "superpose"
# The layers as CONTRIBUTING draws them, from what is used most; others come after them.
ORDER = (
    "superpose errors adapter interference compose bake extraction formats library landscape model"
    " measure training study data statistics"
).split()
HIDDEN = {"cli"}  # docs/cli.md says it better
_SHOWN = "::: {}\n    options: {{heading_level: {}}}\n"
_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_config(config: Any) -> Any:
    """Add the reference's pages to the navigation."""
    for entry in config.nav:
        if "Reference" in entry:
            pages = [{title: path} for path, title, _ in reference_pages() if title]
            entry["Reference"] = [entry["Reference"], *pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add a page of the reference for each package of the library, and one for each notebook."""
    for path, _, text in reference_pages():
        files.append(File.generated(config, path, content=text))
    for found in sorted(Path(config.docs_dir, "notebooks").glob("*.ipynb")):
        cells = json.loads(found.read_text(encoding="utf-8"))["cells"]
        path = f"notebooks/{found.stem}.md"
        files.append(File.generated(config, path, content="\n\n".join(map(notebook, cells))))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Set the formulas of a page: no script in the reader's browser has to."""
    return _FORMULA.sub(_as_mathml, html)


def notebook(cell: dict[str, Any]) -> str:
    """Give a cell of a notebook as Markdown, with the outputs that it was committed with."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    shown = [f"```python\n{source}\n```"]
    for output in cell["outputs"]:
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "text/html" in data:
            shown.append(f"<div>{''.join(data['text/html'])}</div>")
        else:
            shown.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    return "\n\n".join(shown)


def _as_mathml(found: re.Match[str]) -> str:
    latex = html.unescape(found["latex"]).strip()
    if found["tag"] == "span":
        return str(convert(latex))
    return f'<div class="formula">{convert(latex, display="block")}</div>'


def reference_pages() -> Iterator[tuple[str, str, str]]:
    """Give (path, title, Markdown) of the reference's page for each package and module on top."""
    tops = [p.stem for p in PACKAGE.iterdir() if _public(p) and p.stem not in HIDDEN]
    for name in sorted(tops, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n)):
        path = PACKAGE / name
        modules = _modules(path) if path.is_dir() else [path.with_suffix(".py")]
        levels = [1, *(2 for _ in modules[1:])]
        shown = [_SHOWN.format(_dotted(m), level) for m, level in zip(modules, levels, strict=True)]
        yield f"reference/{name}.md", f"superpose.{name}", "\n".join(shown)


def _modules(folder: Path) -> list[Path]:
    """Give a package and, below it, what has public names that the package above does not have."""
    first = folder / "__init__.py"
    below = sorted(set(folder.rglob("*.py")) - {first}, key=lambda p: p.with_suffix("").parts)
    return [first, *(path for path in below if _exports(path) - _exports(_package_of(path)))]


def _package_of(module: Path) -> Path:
    folder = module.parent.parent if module.name == "__init__.py" else module.parent
    return folder / "__init__.py"


def _exports(module: Path) -> set[str]:
    """Give what a module says is public; nothing where it does not say."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def _public(path: Path) -> bool:
    is_package = (path / "__init__.py").exists()
    return not path.name.startswith("_") and (path.suffix == ".py" or is_package)


def _dotted(module: Path) -> str:
    parts = module.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
