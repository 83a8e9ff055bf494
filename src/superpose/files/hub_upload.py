"""Files to a repository of the Hugging Face hub, in one commit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from superpose.errors import BadInput, Missing, missing_extra
from superpose.files.hub_errors import hub_errors
from superpose.files.hub_name import HubName


def upload(
    given: str, to: HubName, files: Mapping[str, Path], *, private: bool = False, message: str
) -> str:
    """Send files to a repository, made where there is none, and give the id of the commit.

    given: what the user called the repository. to: its name; its revision is a branch, made where
    there is none, and None is the default one. files: path in the repository -> file here.
    private: make a new repository private; one that is public already gets nothing.

    Raises Missing without a token or an answer of the hub, BadInput when the hub or the token does
    not allow it, MissingExtra without huggingface_hub.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, get_token
    except ImportError as error:
        raise missing_extra("huggingface_hub", "pushing") from error
    api = HfApi()
    with hub_errors(given, to, may_be_here=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the hub would like to see in a card besides
        if get_token() is None:
            raise Missing(
                "the hub takes files from those who say who they are, and there is no token",
                where=given,
                hint="`hf auth login` asks for one that may write; so does HF_TOKEN=...",
            )
        api.create_repo(to.repo, private=private or None, exist_ok=True)
        if private and not api.repo_info(to.repo).private:
            raise BadInput(
                "is there already and public; nothing was sent",
                where=given,
                hint="Make it private on its page, or give another name.",
            )
        # A pull request's ref is there already, and no branch.
        if to.revision is not None and not to.revision.startswith("refs/"):
            api.create_branch(to.repo, branch=to.revision, exist_ok=True)
        operations = [CommitOperationAdd(path, str(file)) for path, file in files.items()]
        with _card_taken(given):
            made = api.create_commit(
                to.repo, operations, commit_message=message, revision=to.revision
            )
    return str(made.oid)


@contextmanager
def _card_taken(given: str) -> Iterator[None]:
    """Say what the hub has against the card, where that is why it takes nothing."""
    try:
        yield
    except ValueError as error:
        if "Invalid metadata" not in str(error):
            raise
        reasons = str(error).partition("\n")[2].replace("\n- ", "; ").removeprefix("- ")
        raise BadInput(
            f"the hub does not take the card README.md: {reasons}",
            where=given,
            hint="Mend the lines at its top, between the two `---`.",
        ) from error
