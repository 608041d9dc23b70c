# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of kernel code: the modules of a real kernel, and programs compiled from the controller."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prove import Kernel, kernels, plain


@pytest.fixture(scope="session")
def tree() -> Path:
    """The root tree that scripts/test/kernels.sh names."""
    name = os.environ.get("KEDR_TREE", "")
    assert name, "KEDR_TREE does not name a tree; run make test-kernels"
    return Path(name)


@pytest.fixture(scope="session")
def kernel(tree: Path) -> Kernel:
    return kernels(tree)[-1]


@pytest.fixture(scope="session")
def some_modules(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{plain file: module}: a file system, and code with vector instructions for RAID and ciphers."""
    directory = tmp_path_factory.mktemp("modules")
    wanted = {"udf", "raid6_pq", "aesni-intel", "camellia-aesni-avx2", "chacha-x86_64"}
    files = {}
    for module in kernel.modules:
        name = module.name.partition(".ko")[0]
        if name in wanted:
            file = directory / f"{name}.ko"
            file.write_bytes(plain(module))
            files[str(file)] = module
    assert any("udf" in file for file in files) and any("raid6_pq" in file for file in files)
    return files


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for object files that several programs are linked from."""
    return tmp_path_factory.mktemp("objects")


TOLD: list[str] = []


@pytest.fixture
def told() -> list[str]:
    """Lines that stand at the end of the output, also when all is well."""
    return TOLD


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in TOLD:
        terminalreporter.write_line(line)
