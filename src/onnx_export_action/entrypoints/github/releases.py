"""Files attached to a release, over PyGithub: manifests and results of what was published."""

from __future__ import annotations

from pathlib import Path

from onnx_export_action.entrypoints.github.api import bounded, github_client, told

_MAX_ASSETS = 1000  # GitHub's own limit


def attach_to_release(
    files: dict[str, Path], release: int, *, api_url: str, repository: str, token: str, ca_bundle: Path | None = None
) -> None:
    """Attach files by name; an asset of that name, from an earlier run, is replaced.

    Raises:
        GitHubError: GitHub refused; some of the files may be attached.
    """
    with told():
        client = github_client(api_url=api_url, token=token, ca_bundle=ca_bundle)
        target = client.get_repo(repository).get_release(release)
        there = {asset.name: asset for asset in bounded(target.get_assets(), _MAX_ASSETS, "assets")}
        for name, path in files.items():
            if name in there:
                there[name].delete_asset()
            target.upload_asset(str(path), name=name, content_type="application/json")
