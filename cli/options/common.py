"""Options of many commands: which registry, which variant, where a graph runs, and how results are printed."""

from typing import Annotated

from cli.options.group import option

__all__ = ["BundleAddress", "Json", "ListLength", "RegistryUrl", "Threads", "Variant"]

RegistryUrl = Annotated[
    str, option("--registry", envvar="NEXTCLICK_REGISTRY", metavar="URL", help="Bundles: a folder or an fsspec URL.")
]
Variant = Annotated[str, option("--variant", metavar="NAME", help="Which variant's model.")]
BundleAddress = Annotated[
    str, option("--bundle", metavar="URL", help="A bundle: its folder, or a version in a registry: s3://shop/models/3.")
]
ListLength = Annotated[int, option("--k", help="Items in a list.")]
Json = Annotated[bool, option("--json", help="The last line of stdout is one JSON object.")]
Threads = Annotated[int, option("--threads", help="CPU threads; 0: one a core, or as many as a container's quota.")]
