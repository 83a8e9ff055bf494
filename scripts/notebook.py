"""Execute the notebooks of docs/notebooks in a folder of their own, and write them without traces.

Run `make docs` after changing one, or what one shows; tests/docs/test_notebooks.py executes each.
A notebook that is written holds its cells, their outputs and nothing of the machine: no paths,
times or names, no second form of an output, nothing that went to standard error: that goes to
standard error here.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
LONGEST = 600
"""Seconds that one cell may take."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path) -> Any:
    """The notebook with the outputs that its cells give now; raises for a cell that fails."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=LONGEST,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                sys.stderr.write(output["text"])
    return without_traces(notebook)


def without_traces(notebook: Any) -> Any:
    """The notebook with what its cells say and show alone."""
    import nbformat

    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            said = [each for each in cell.outputs if each.get("name") != "stderr"]
            cell.outputs = [_plain(output) for output in said]
    return notebook


def _plain(output: Any) -> Any:
    """The output without its metadata, and in one form: an object's repr may name its paths."""
    if "data" in output:
        output.metadata = {}
        if "text/html" in output.data:
            output.data = {"text/html": output.data["text/html"]}
    return output


def private_jupyter(folder: Path) -> None:
    """Keep Jupyter, for this process and its kernels, in a folder of its own."""
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        os.environ[name] = str(folder / name.lower())


def main() -> None:
    """Execute every notebook, and write each over itself or into the folder that is named."""
    import nbformat

    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("--to", type=Path, default=NOTEBOOKS, help="the folder to write into")
    to = arguments.parse_args().to
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        nbformat.write(executed(path), to / path.name)
        print(f"wrote {to / path.name}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as private:
        private_jupyter(Path(private))
        main()
