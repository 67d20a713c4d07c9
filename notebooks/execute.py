"""Runs notebooks from top to bottom and writes their outputs into them.

    python notebooks/execute.py [NOTEBOOK ...]

Without arguments all of them, each in a process of its own. With KERAS_INITS_QUICK=1 in the
environment they run small, which is for tests: what is committed comes from a full run.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
TIMEOUT_SECONDS = 1200
# What TensorFlow 2.21 writes to stderr at its import, whatever TF_CPP_MIN_LOG_LEVEL says.
STARTUP_LINES = re.compile(
    r"WARNING: All log messages before absl::InitializeLog\(\) .*\n"
    r"|I0000 .* (port|cudart_stub)\.cc:\d+\] .*\n"
)


def execute(path: Path, env: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Returns the notebook with fresh outputs; the file stays as it is.

    Args:
        path: the notebook.
        env: environment of the kernel; this process's if None.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    # No folder is searched, so that the kernel is the running interpreter, whatever is installed.
    kernel = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=TIMEOUT_SECONDS,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as settings:  # not those of whoever runs it
        client.execute(cleanup_kc=True, env={**(env or os.environ), "IPYTHONDIR": settings})
    return clean(notebook)


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Takes out what differs from run to run and machine to machine, and returns the notebook."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
        if cell.cell_type == "code":
            for output in cell.outputs:
                if output.output_type == "stream" and output.name == "stderr":
                    output.text = STARTUP_LINES.sub("", output.text)
            cell.outputs = [o for o in cell.outputs if o.get("text", "something").strip()]
    return notebook


def main() -> None:
    """Rewrites the notebooks that are named, or all."""
    for path in map(Path, sys.argv[1:] or sorted(FOLDER.glob("*.ipynb"))):
        start = time.monotonic()
        notebook = execute(path)
        nbformat.write(notebook, path)
        print(f"{path.name}: {time.monotonic() - start:.0f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
