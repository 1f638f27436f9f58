#!/bin/bash
# Builds a stand-in for the image apache/kafka out of Debian's packages and Maven's jars, for a machine with a Docker
# daemon but no container registry. Debian's Python is in it, too: the tests build deploy/Containerfile upon it.
# Needs root, debootstrap and docker.
#
#   build_image.sh JARS_FOLDER IMAGE      (python -m bench.rig.brokers.jars prints JARS_FOLDER)
set -euo pipefail

jars=${1:?folder of the Kafka jars}
image=${2:?name of the image}
here=$(cd "$(dirname "$0")" && pwd)

# The mirror and the release are the ones this machine's own apt uses.
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI)|$(CODENAME)|$(COMPONENT)' 'Identifier: Packages' |
  awk -F'|' -v release="$VERSION_CODENAME" '$2 == release && $3 == "main" { print $1; exit }')
if [ -z "$mirror" ]; then
  echo "apt has no mirror for $VERSION_CODENAME; run apt-get update first" >&2
  exit 1
fi

root=$(mktemp -d)
trap 'rm -rf -- "$root"' EXIT
debootstrap --variant=minbase --include=openjdk-17-jre-headless,python3-venv "$VERSION_CODENAME" "$root" "$mirror" > "$root.log" 2>&1 || {
  tail -n 20 "$root.log" >&2
  exit 1
}
rm -f -- "$root.log"
rm -rf -- "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/locale
mkdir -p "$root/opt/kafka/libs"
cp -- "$jars"/*.jar "$root/opt/kafka/libs/"
install -m 755 "$here/run.sh" "$root/opt/kafka/run.sh"

tar --numeric-owner -C "$root" -c . | docker import \
  --change 'ENTRYPOINT ["/opt/kafka/run.sh"]' --change 'EXPOSE 9092' --change 'LABEL nextclick.stand-in=with-python' \
  --message "stand-in for $image: Debian packages and Maven's jars" - "$image"
