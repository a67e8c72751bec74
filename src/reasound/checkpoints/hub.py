"""Pulling the released weights from the public hub: what that would take, and taking it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasound.checkpoints import catalog, models, store
from reasound.checkpoints.catalog import Origin
from reasound.errors import UserError

OFFLINE = (
    "offline, so the hub was not asked: leave out --offline (and unset HF_HUB_OFFLINE), or convert files that you have "
    "with 'reasound models convert FOLDER'"
)


@dataclass(frozen=True)
class File:
    name: str
    size: int
    sha256: str | None
    """Of large files; the hub knows small ones by their `blob`."""
    blob: str
    """As git names the content."""


@dataclass(frozen=True)
class Offer:
    """What one repository of the hub has for us."""

    origin: Origin
    repo: str
    revision: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def offers(parts: Sequence[str], repo: str | None = None, offline: bool = False) -> list[Offer]:
    """Where these parts can be had right now. `repo` takes the place of the one for DiT, autoencoder and Synchformer.

    UserError without a network or huggingface_hub, and for a repository that is missing, closed, or without the files.
    """
    hub = _hub()
    if offline or hub.constants.HF_HUB_OFFLINE:
        raise UserError(OFFLINE)
    found = []
    for origin in catalog.ORIGINS:
        if any(part in parts for part in origin.parts):
            own = repo is not None and "dit" in origin.parts
            found.append(_best(origin, (repo,) if own and repo else origin.repos))
    return found


def _best(origin: Origin, repos: Sequence[str]) -> Offer:
    """Of the repositories that have the files, the first that has them under their best names."""
    choice: tuple[int, Offer] | None = None
    problem: UserError | None = None
    for repo in repos:
        try:
            offer = _offer(origin, repo)
        except _NotThere as error:
            problem = problem or error
            continue
        names = {file.name for file in offer.files}
        second = sum(group[0] not in names for group in origin.files)
        if choice is None or second < choice[0]:
            choice = second, offer
        if not second:
            break
    if choice is None:
        assert problem is not None
        raise problem
    return choice[1]


class _NotThere(UserError):
    """A repository has not what we want; another may."""


def _offer(origin: Origin, repo: str) -> Offer:
    with _asking(repo):
        info = _hub().HfApi().model_info(repo, files_metadata=True)
    listed = {}
    for sibling in info.siblings or ():
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        listed[sibling.rfilename] = File(sibling.rfilename, sibling.size or 0, sha256, sibling.blob_id or "")
    files = []
    for group in origin.files:
        name = next((name for name in group if name in listed), None)
        if name is None:
            raise _NotThere(
                f"{repo} on the hub has no {' or '.join(group)}; name another repository with --repo"
            )
        files.append(listed[name])
    files += [listed[name] for name in origin.extras if name in listed]
    return Offer(origin, repo, info.sha or "main", tuple(files))


def fetch(offer: Offer) -> Path:
    """Download the files, going on where an earlier download stopped, and check size and hash of each. Returns the
    folder that holds them. UserError for no network, a full disk, a damaged file.

    What Hugging Face's own cache holds is taken from there. We do not download into it, because its library begins a
    file again after every interruption, and these take hours.
    """
    hub = _hub()
    held = [
        hub.try_to_load_from_cache(offer.repo, file.name, revision=offer.revision) for file in offer.files
    ]
    if all(isinstance(path, str) for path in held):
        return Path(held[0]).parent
    folder = downloads() / offer.repo.replace("/", "--") / offer.revision
    waiting = [(file, folder / file.name, folder / f"{file.name}.partial") for file in offer.files]
    waiting = [(file, path, partial) for file, path, partial in waiting if not path.exists()]
    here = sum(partial.stat().st_size for _, _, partial in waiting if partial.exists())
    models.check_room(folder, sum(file.size for file, _, _ in waiting) - here, "the download")
    for file, path, partial in waiting:
        with _asking(offer.repo):
            partial.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("ab") as out:
                if out.tell() > file.size:
                    out.truncate(0)
                hub.file_download.http_get(
                    hub.hf_hub_url(offer.repo, file.name, revision=offer.revision),
                    out,
                    resume_size=out.tell(),
                    headers=hub.utils.build_hf_headers(),
                    expected_size=file.size,
                    displayed_filename=file.name,
                )
            if not _good(partial, file):
                partial.unlink()
                raise UserError(f"{file.name} came damaged from the hub and was deleted; pull it again")
            partial.rename(path)
    return folder


def downloads() -> Path:
    """Where downloads are kept."""
    return catalog.models_folder() / "downloads"


def _good(path: Path, file: File) -> bool:
    if file.sha256 is not None:
        return store.digest(path) == file.sha256
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest() == file.blob


def pull(
    wanted: Sequence[Offer], target: Path, precision: str | None = None, report: models.Report = models.quiet
) -> dict[str, Any]:
    """Fetch what was offered and convert it into a ThinkSound folder; parts that the folder has are kept."""
    pieces: dict[str, models.Piece] = {}
    for count, offer in enumerate(wanted):
        report(f"fetching {offer.repo}", count / len(wanted))
        folder = fetch(offer)
        origin = f"{offer.repo} at {offer.revision}"
        for part, piece in models.find(folder)[0].items():
            if part in offer.origin.parts:
                pieces[part] = models.Piece(piece.path, piece.tensors, origin)
    return models.assemble(pieces, target, precision, report)


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.file_download
        import huggingface_hub.utils
    except ModuleNotFoundError as error:
        raise UserError(
            "pulling needs huggingface_hub; install it with:  pip install 'reasound[thinksound]'"
        ) from error
    return huggingface_hub


_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
"""Libraries that huggingface_hub, by its version, lets speak when the network fails."""


@contextmanager
def _asking(repo: str) -> Iterator[None]:
    """Whatever the hub answers becomes one sentence."""
    errors = _hub().errors
    try:
        yield
    except UserError:
        raise
    except errors.GatedRepoError as error:
        raise UserError(
            f"{repo} is open only to people who accepted its terms: do that on https://huggingface.co/{repo}, "
            "log in with 'hf auth login', and pull again"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise _NotThere(
            f"the hub has no repository {repo}, or it is private; name another with --repo"
        ) from error
    except errors.HFValidationError as error:
        raise UserError(f"{repo!r} is not a name of a repository, such as liuhuadai/ThinkSound") from error
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(repo) from error
    except errors.HfHubHTTPError as error:
        raise UserError(
            f"the hub did not give out {repo} ({str(error).splitlines()[0]}); try again later"
        ) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] in _NETWORK or isinstance(
            error, ConnectionError | TimeoutError
        ):
            raise _unreachable(repo) from error
        if isinstance(error, OSError):
            reason = (error.strerror or str(error)).lower()
            raise UserError(
                f"cannot store what comes from {repo}: {reason}; make room and pull again"
            ) from error
        raise


def _unreachable(repo: str) -> UserError:
    return UserError(
        f"cannot reach the hub for {repo}: check the network and pull again, what has come so far is kept; or convert "
        "files that you have with 'reasound models convert FOLDER'"
    )
