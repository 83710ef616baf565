"""The folder of plans. In: its path. Out: names of plans, manifests unverified, files written whole.

``<name>.json`` is a plan's manifest, ``<sha256>.plan`` the plan itself. The manifest alone says which plan belongs to
it, by hash, so no name inside it is ever used as a path. A build writes the plan first and the manifest last.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftforensics.engine.plans.files import move_into_place, read_regular_file, write_failed
from ftforensics.engine.plans.manifest import (
    MAX_MANIFEST_BYTES,
    PlanManifest,
    SignedManifest,
    manifest_to_json,
    parse_manifest,
    parse_payload,
)
from ftforensics.errors import EngineError, FtfError, NotFound, PlanRefused, TrustError, UsageError, WriteFailed
from ftforensics.trust.fields import SHA256_HEX
from ftforensics.trust.private_file import replace_file

FOLDER_NAME = "plans"
MANIFEST_SUFFIX = ".json"
PLAN_SUFFIX = ".plan"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_BUILD_PREFIX = ".build-"


class PlanFolder:
    """The plans of one engines folder; it is made when the first plan is saved.

    Args:
        engines: The folder of models and built engines; plans lie in ``plans`` in it.
    """

    def __init__(self, engines: Path) -> None:
        self.path = engines / FOLDER_NAME

    def names(self) -> tuple[str, ...]:
        """The names of all manifests, sorted; files with other names are passed over.

        Raises:
            EngineError: The folder is there but cannot be listed.
        """
        try:
            files = sorted(os.listdir(self.path))  # noqa: PTH208 - iterdir would not raise until it is walked
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise EngineError(
                f"the folder of plans cannot be read ({exc.strerror})", subject=str(self.path), remedy="check the path"
            ) from exc
        names = (file.removesuffix(MANIFEST_SUFFIX) for file in files if file.endswith(MANIFEST_SUFFIX))
        return tuple(name for name in names if _NAME.fullmatch(name) is not None)

    def find(self, reference: str) -> str:
        """The name of the one plan that is meant.

        Args:
            reference: Its name, the start of it, or the start of its key (the digits at the name's end).

        Raises:
            NotFound: There is no such plan.
            UsageError: Several begin like that.
        """
        names = self.names()
        if reference in names:
            return reference
        found = [
            name for name in names if reference and reference in (name[: len(reference)], _key_start(name, reference))
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"several plans are called that ({', '.join(found[:8])})", subject=reference[:80])
        raise NotFound(
            f"no such plan: {reference[:200]!a}, looked in", subject=str(self.path), remedy="see 'ftf engine list'"
        )

    def manifest_path(self, name: str) -> Path:
        """The file of a manifest.

        Raises:
            EngineError: The name cannot be that of a plan.
        """
        if _NAME.fullmatch(name) is None:
            raise EngineError(f"not the name of a plan: {name[:80]!a}", remedy="see 'ftf engine list'")
        return self.path / f"{name}{MANIFEST_SUFFIX}"

    def plan_path(self, sha256: str) -> Path:
        """The file of a plan.

        Raises:
            PlanRefused: Not a hash.
        """
        if SHA256_HEX.fullmatch(sha256) is None:
            raise PlanRefused(f"not the hash of a plan: {sha256[:80]!a}", remedy="build the plan again")
        return self.path / f"{sha256}{PLAN_SUFFIX}"

    def load_manifest(self, name: str) -> SignedManifest:
        """A manifest as it lies there. Nothing is verified.

        Raises:
            PlanRefused: It is malformed.
            EngineError: It is not there.
        """
        path = self.manifest_path(name)
        data = read_regular_file(path, what="the plan's manifest", max_bytes=MAX_MANIFEST_BYTES)
        try:
            return parse_manifest(data, subject=str(path))
        except TrustError as exc:
            raise PlanRefused(exc.what, subject=exc.subject or str(path), remedy="remove it, build it again") from exc

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder of its own for a build that runs now; it and those of dead builds are removed afterwards.

        Raises:
            WriteFailed: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep()
            place = Path(tempfile.mkdtemp(prefix=f"{_BUILD_PREFIX}{os.getpid()}-", dir=self.path))
        except OSError as exc:
            raise write_failed(self.path, exc) from exc
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def save(self, manifest: PlanManifest, signed: SignedManifest, plan: Path) -> str:
        """Take a plan in: the file is moved here, then its manifest replaces that of an older build, which goes.

        Args:
            manifest: What is signed.
            signed: The same, signed.
            plan: The plan's file, on the same file system.

        Returns:
            The plan's name.

        Raises:
            WriteFailed: Not permitted, or the disk is full. The older build is untouched then.
        """
        name = manifest.request.name
        before = self._referenced(name)
        path = self.plan_path(manifest.plan_sha256)
        move_into_place(plan, path)
        try:
            replace_file(self.manifest_path(name), manifest_to_json(signed))
        except WriteFailed:
            if manifest.plan_sha256 not in self._all_referenced():
                path.unlink(missing_ok=True)
            raise
        if before is not None:
            self._drop_unreferenced(before)
        return name

    def replace_manifest(self, manifest: PlanManifest, signed: SignedManifest) -> None:
        """Put another statement about the same plan in its place.

        Raises:
            WriteFailed: Not permitted, or the disk is full.
        """
        replace_file(self.manifest_path(manifest.request.name), manifest_to_json(signed))

    def remove(self, name: str) -> None:
        """Delete a manifest, and the plan if no other manifest needs it. Damaged ones go too.

        Raises:
            EngineError: There is no such plan.
            WriteFailed: Not permitted.
        """
        path = self.manifest_path(name)
        plan = self._referenced(name)
        try:
            path.unlink()
        except FileNotFoundError as exc:
            raise EngineError("no such plan", subject=name, remedy="see 'ftf engine list'") from exc
        except OSError as exc:
            raise write_failed(path, exc) from exc
        if plan is not None:
            self._drop_unreferenced(plan)

    def _drop_unreferenced(self, sha256: str) -> None:
        path = self.plan_path(sha256)
        if sha256 in self._all_referenced():
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise write_failed(path, exc) from exc

    def _all_referenced(self) -> set[str | None]:
        return {self._referenced(name) for name in self.names()}

    def _referenced(self, name: str) -> str | None:
        """The hash that a manifest names, verified or not; None where it cannot be read."""
        with contextlib.suppress(FtfError):
            return parse_payload(self.load_manifest(name).envelope.payload).plan_sha256
        return None

    def _sweep(self) -> None:
        """Remove what builds left that were killed without warning."""
        for place in self.path.glob(f"{_BUILD_PREFIX}*"):
            process = re.match(rf"{re.escape(_BUILD_PREFIX)}([0-9]+)-", place.name)
            if process is not None and not _is_running(int(process[1])):
                shutil.rmtree(place, ignore_errors=True)


def _key_start(name: str, reference: str) -> str:
    return name.rsplit("-", 1)[-1][: len(reference)]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
