"""The SBOM of an artefact: sbom.cdx.json, in CycloneDX 1.6, checked against CycloneDX's own schema. Run by scripts/build,
which leaves what Cargo says in FOLDER/.metadata and FOLDER/.tree.

    sbom.py FOLDER CARGO_LOCK

Lists the crates that are linked into the functions for the artefact's architecture, with versions, licences and checksums
of Cargo.lock, and which crate needs which. Leaves out what only builds or tests them. Each function is a component with the
checksum of its zip. One SBOM for all functions: cargo-cyclonedx, which would write one for each crate, into the sources,
cannot say that.
"""
import datetime, hashlib, json, pathlib, sys, tomllib, uuid

from cyclonedx.contrib.license.exceptions import InvalidLicenseExpressionException
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def sha256(content):
    return HashType(alg=HashAlgorithm.SHA_256, content=content)


def main(folder, lock):
    folder = pathlib.Path(folder)
    about = json.loads((folder / "artefact.json").read_text())
    metadata = json.loads((folder / ".metadata").read_text())
    linked = {tuple(line.split()[:2]) for line in (folder / ".tree").read_text().splitlines() if line.strip()}
    linked = {(name, version.removeprefix("v")) for name, version in linked}
    locked = tomllib.loads(pathlib.Path(lock).read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    if missing := linked - checksums.keys():
        sys.exit(f"Cargo.lock lacks {sorted(missing)}")

    whole = f"orderflow@{about['version']}+{about['architecture']}"
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, whole))
    # The commit's time, so that the same commit gives the same SBOM.
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(about["committed_at"], datetime.timezone.utc)
    bom.metadata.component = root = Component(
        name="orderflow", version=about["version"], type=ComponentType.APPLICATION, bom_ref=whole,
    )
    functions = {path.stem: path for path in sorted((folder / "functions").glob("*.zip"))}
    licences, components = LicenseFactory(), {}
    for package in metadata["packages"]:
        key = package["name"], package["version"]
        if key not in linked:
            continue
        is_function = package["name"] in functions and package["source"] is None
        component = Component(
            name=package["name"], version=package["version"], description=package["description"],
            type=ComponentType.APPLICATION if is_function else ComponentType.LIBRARY,
            bom_ref="{}@{}".format(*key),
            purl=PackageURL("cargo", None, *key) if package["source"] else None,
        )
        if package["license"]:
            # Older manifests write "MIT/Apache-2.0".
            written = package["license"].replace("/", " OR ")
            try:
                component.licenses.add(licences.make_with_expression(written))
            except InvalidLicenseExpressionException:
                component.licenses.add(licences.make_from_string(written))
        if is_function:
            component.hashes.add(sha256(hashlib.sha256(functions[package["name"]].read_bytes()).hexdigest()))
        elif checksums[key]:
            component.hashes.add(sha256(checksums[key]))
        components[package["id"]] = component
        bom.components.add(component)
    if missing := functions.keys() - {one.name for one in components.values()}:
        sys.exit(f"the SBOM lacks the functions {sorted(missing)}")
    for node in metadata["resolve"]["nodes"]:
        if node["id"] in components:
            kinds = {one["pkg"]: [kind["kind"] for kind in one["dep_kinds"]] for one in node["deps"]}
            needs = [components[id] for id, of in kinds.items() if None in of and id in components]
            bom.register_dependency(components[node["id"]], needs)
    bom.register_dependency(root, [one for one in components.values() if one.type == ComponentType.APPLICATION])

    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the SBOM does not follow CycloneDX's schema: {fault}")
    (folder / "sbom.cdx.json").write_text(text + "\n", encoding="utf-8")
    print(f"SBOM: {len(functions)} functions, {len(components) - len(functions)} crates", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
