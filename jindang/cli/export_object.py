"""`jindang export`: write an object to a folder or a bag."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jindang.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from jindang.vault import Vault


@click.command(cls=Command, name="export")
@click.argument("identifier")
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--version", "number", type=click.IntRange(1), help="Which version  [default: the newest]")
@click.option(
    "--as",
    "form",
    type=click.Choice(["folder", "bagit"]),
    default="folder",
    show_default=True,
    help="A folder, or a BagIt bag that others can check",
)
def command(invocation: Invocation, identifier: str, destination: Path, *, number: int | None, form: str) -> int:
    """Write an object to DESTINATION, which must not exist: `data/`, `metadata/`, and `submission/`.

    Every file is hashed while it is written and compared with the object's inventory. DESTINATION appears only when
    everything is right; if a stored file is not what it was, nothing is left there and the exit code is 5.
    """
    from repository.export import ExportForm, export_version
    from repository.ocfl.inventory import VersionNumber
    from repository.ocfl.object import read_inventory

    with invocation.open_vault() as vault:
        record = vault.find(identifier)
        _refuse_tier(vault, destination)
        object_root = vault.primary.root.object_root(record.object_path)
        inventory = read_inventory(object_root).inventory
        exported = export_version(
            object_root,
            inventory,
            record,
            number=VersionNumber(number) if number else inventory.head,
            destination=destination,
            form=ExportForm(form),
            bagged=invocation.clock.now(),
            stop=invocation.begin_long_work(),
        )
    invocation.say(
        f"Exported {identifier} v{exported.version} to {destination}: {exported.files:,} files, "
        f"{exported.size_bytes:,} bytes, every {inventory.digest_algorithm} as in the inventory"
    )
    invocation.answer(
        {
            "id": record.id.uri,
            "version": exported.version,
            "destination": str(destination),
            "form": form,
            "files": exported.files,
            "size_bytes": exported.size_bytes,
            "verified_with": inventory.digest_algorithm,
        }
    )
    return 0


def _refuse_tier(vault: "Vault", destination: Path) -> None:
    """An export inside a tier would make it an invalid storage root."""
    from repository.errors import InvalidInputError

    for tier in vault.settings.disks:
        if destination.resolve().is_relative_to(tier.path.resolve()):
            raise InvalidInputError(
                "The destination lies inside a tier", where=destination, next_step="name a folder outside of all tiers"
            )
